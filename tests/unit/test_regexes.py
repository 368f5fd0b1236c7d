"""A pattern as it goes to another process of ours."""

import pickle

from receiver.core.regexes import Regex


def test_another_process_gets_the_pattern():
    """What is compiled can't be handed over: it is compiled anew there, and means the same."""
    sent = Regex("[a-z]{1,3}|9+")

    got = pickle.loads(pickle.dumps(sent))  # noqa: S301  our own

    assert got == sent
    assert [got.accepts(text) for text in ("abc", "999", "abcd")] == [True, True, False]
