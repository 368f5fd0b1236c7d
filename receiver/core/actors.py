"""Names in the log of those who act without being a person: no person may be called so."""

import unicodedata

ANONYMOUS = "anonymous"
"""Whoever there is, where nobody has to say who they are."""

CONFIGURATION = "configuration"
"""Whose act it is that a pause is carried over: nobody ordered it."""

LINK = "link of"


def link_of(subscriber: str) -> str:
    """Who acts when somebody follows a link of this subscriber's message and says no name."""
    return f"{LINK} {subscriber}"


def is_no_person(name: str) -> bool:
    """Whether a name is one of these, or reads like one."""
    read = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return read in {ANONYMOUS, CONFIGURATION, LINK} or read.startswith(f"{LINK} ")
