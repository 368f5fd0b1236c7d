from receiver.core.regexes import RegexSet


def test_many_patterns_are_tried_at_once():
    """The positions of those that match the whole text, in order."""
    patterns = RegexSet(["a.*", "b", "(?i)AB", "a"])

    assert list(patterns.accepting("ab")) == [0, 2]
    assert list(patterns.accepting("c")) == []
    assert list(patterns.accepting("a\ud800")) == [0]


def test_no_pattern_takes_nothing():
    """An empty set is one too."""
    assert list(RegexSet([]).accepting("a")) == []
