"""How tests are run where many broken programs are tried: `make mutants`."""

from hypothesis import Phase, settings

PROFILE = "mutants"

# The same examples for each mutant, no matter how slow the machine; none is made smaller, for that
# it failed is all that is asked.
settings.register_profile(
    PROFILE,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
)


def pytest_collection_modifyitems(config, items):
    """A mutant is killed soonest by the quick tests; mutmut names them in any order."""
    if config.getoption("--hypothesis-profile") == PROFILE:
        items.sort(key=lambda item: "tests/unit/" not in item.nodeid)
