"""What all tests share: a quick log, and how `make mutants` runs them."""

import structlog
from hypothesis import Phase, settings

# Whatever logs thousands of tracebacks draws none in colour, with every variable of every frame.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

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
