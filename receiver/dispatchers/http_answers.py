"""What an HTTP API's answers mean: whether a run may exist, how long to wait, what to mend."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from receiver.core.dispatches import DispatchError, Failure
from receiver.core.policies import shown
from receiver.dispatchers.refusals import REFUSALS
from receiver.http import LONGEST_QUOTE, WRITE_HTTPS, Response, is_redirect, wants_tls

NOT_OF_THIS_KIND: AbstractSet[int] = frozenset(
    {
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    }
)
"""Said of the kind of request, before anything of it is done."""

NOT_THERE: AbstractSet[int] = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})

LONGEST_WAIT = timedelta(hours=1)
"""A stranger's header must not hold a dispatch for ever."""

CURES: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "give `token_file` or `basic` a credential that is valid",
    HTTPStatus.FORBIDDEN: "give a credential that is valid and may start and read runs",
    HTTPStatus.NOT_FOUND: "check the target's `url`",
    HTTPStatus.METHOD_NOT_ALLOWED: "check the target's `url`: it takes no POST",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "write the target's `body`: it takes no CloudEvents",
    HTTPStatus.BAD_REQUEST: "check the target's `body`",
    HTTPStatus.UNPROCESSABLE_ENTITY: "check the target's `body`",
}

SAYING = ("message", "detail", "title", "error")
"""Where APIs put their reason: RFC 9457, Airflow, Argo, and most others."""


@dataclass(frozen=True, slots=True)
class HttpAnswer(Response):
    """What the target, or something in front of it, answered.

    Attributes:
        host: Who was asked.
        secrets: What was sent to it. Some proxies show the request they reject.

    """

    host: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def quoted(self) -> str:
        """A stranger's own words, escaped and short enough for a sentence."""
        content = self.content or {}
        said = next((str(content[name]) for name in SAYING if content.get(name)), None)
        if said is None:
            said = self.body[: 64 * LONGEST_QUOTE].decode(errors="replace")
        for secret in self.secrets:
            said = said.replace(secret, "[secret]")
        return shown(said, LONGEST_QUOTE)


def error_of(answer: HttpAnswer, *, safe: bool = False) -> DispatchError:
    """Say what an answer that names no run tells about the run that was asked for.

    `safe` is whether another POST can't start a second run.
    """
    status, wait = answer.status, asked_wait(answer)
    failure = Failure.UNKNOWN
    asks_to_wait = status == HTTPStatus.SERVICE_UNAVAILABLE and wait is not None
    if status == HTTPStatus.TOO_MANY_REQUESTS or (asks_to_wait and safe):
        failure = Failure.UNAVAILABLE
    elif status in REFUSALS | NOT_OF_THIS_KIND:
        failure = Failure.REFUSED
    return DispatchError(
        _sentence(answer),
        failure,
        status_code=status,
        retry_after=wait if failure is Failure.UNAVAILABLE else None,
    )


def _sentence(answer: HttpAnswer) -> str:
    host, status = answer.host, answer.status
    if is_redirect(status):
        where = urlsplit(answer.headers.get("location", "")).netloc
        return (
            f"{host} answered {status} and points to {shown(where)}: probably a login page; use "
            "the API's own address, or `token_file`"
        )
    sentence = f"{host} answered {status}: {answer.quoted}"
    cure = WRITE_HTTPS if wants_tls(answer) else CURES.get(status)
    return f"{sentence}; {cure}" if cure else sentence


def asked_wait(answer: Response) -> timedelta | None:
    """How long the target asked us to wait, if it said so in seconds."""
    seconds = answer.headers.get("retry-after", "").strip()
    if not re.fullmatch("[0-9]{1,9}", seconds):
        return None
    return min(timedelta(seconds=int(seconds)), LONGEST_WAIT)
