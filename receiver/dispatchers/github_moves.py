"""A repository that was renamed or transferred: what it is called now, asked of GitHub itself."""

import re
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from receiver.core.dispatches import DispatchError
from receiver.dispatchers.github_answers import GithubAnswer
from receiver.http import NoAnswer, is_redirect

NUMBERED = re.compile(r"/repositories/([0-9]{1,20})(?:/|$)")
NAMED = re.compile(r"[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}")


def moved_to(answer: GithubAnswer, ask: Callable[[str], GithubAnswer]) -> str:
    """What to mend if the answer says that the repository moved; empty if it does not.

    GitHub names it by its number. Only the number is taken from the answer: where it points to is
    not followed, for the credentials are meant for the configured address.
    """
    if not is_redirect(answer.status):
        return ""
    pointed = (answer.headers.get("location"), answer.content.get("url"))
    found = [NUMBERED.search(urlsplit(str(each)).path) for each in pointed if each]
    number = next((match[1] for match in found if match), None)
    if number is None:
        return ""
    name = _name_of(number, ask)
    if name is None:
        return f"the repository was renamed or moved (its number is {number}): set `repository`"
    return f"the repository is called {name} now: write `repository: {name}`"


def _name_of(number: str, ask: Callable[[str], GithubAnswer]) -> str | None:
    try:
        answer = ask(f"/repositories/{number}")
    except (DispatchError, NoAnswer):
        return None
    name = answer.content.get("full_name")
    known = answer.status == HTTPStatus.OK and isinstance(name, str) and NAMED.fullmatch(name)
    return str(name) if known else None
