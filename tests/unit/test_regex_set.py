from receiver.core.regexes import Regex, RegexSet


def test_many_patterns_are_tried_at_once():
    """The positions of those that match the whole text, in order."""
    patterns = RegexSet(["a.*", "b", "(?i)AB", "a"])

    assert list(patterns.accepting("ab")) == [0, 2]
    assert list(patterns.accepting("c")) == []
    assert list(patterns.accepting("a\ud800")) == [0]


def test_no_pattern_takes_nothing():
    """An empty set is one too."""
    assert list(RegexSet([]).accepting("a")) == []


def test_what_is_too_large_together_is_tried_one_by_one():
    """RE2 refuses a set that takes too much memory; each of its patterns is small."""
    patterns = [f".*a.{{{number % 12 + 3}}}b{number}" for number in range(2_500)]

    assert RegexSet(patterns).accepting("aaaab7") == [
        number for number, each in enumerate(patterns) if Regex(each).accepts("aaaab7")
    ]
