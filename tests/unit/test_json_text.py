"""JSON in ASCII: whatever a stranger writes is read again as it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.json_text import decode, encode

TEXTS = st.text(st.characters(exclude_categories=()))  # lone surrogates and NUL among them
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_is_written_is_read_again(value):
    """In ASCII, so that any database and any terminal can hold it; other readers agree."""
    text = encode(value)

    assert text.isascii()
    assert decode(text) == value
    assert json.loads(text) == value


@pytest.mark.parametrize("value", ["plain", "Zürich", "\0", "\ud800", {"a": [1, 0.5, None, True]}])
def test_each_way_of_writing_gives_the_same(value):
    """ASCII is written by pydantic, everything else by `json`; both are compact."""
    assert encode(value) == json.dumps(value, separators=(",", ":"))


@pytest.mark.parametrize("beside", ["plain", "\ud800"])
def test_what_json_does_not_know_is_shown(beside):
    """A line of the log must not be lost over one value."""
    assert decode(encode({"beside": beside, "what": ValueError("odd")})) == {
        "beside": beside,
        "what": "ValueError('odd')",
    }
