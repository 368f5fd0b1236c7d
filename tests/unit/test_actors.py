"""Who acts without being a person."""

import pytest

from receiver.core.actors import is_no_person, link_of


@pytest.mark.parametrize(
    "name",
    [
        "anonymous",
        "configuration",
        "Configuration",
        link_of("hook"),
        "Link  of hook",
        "link of",
        "\uff43onfiguration",
    ],
)
def test_a_name_that_reads_like_ours_is_no_persons(name):
    """Whatever the case, the spaces, the width of its letters."""
    assert is_no_person(name)


@pytest.mark.parametrize("name", ["ops", "ana@example.com", "configuration-team", "link office"])
def test_other_names_are_persons(name):
    """A name may begin alike."""
    assert not is_no_person(name)
