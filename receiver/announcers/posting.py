"""One POST to a subscriber: no redirects, and an end after a few seconds whatever it does."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

from receiver.core.announcements import NotDelivered
from receiver.core.policies import shown
from receiver.http import Answer, Client, InDoubt, NoAnswer, NotSent, Request
from receiver.secret_files import BadFile, read_secret

LONGEST_SENDING = 20.0
LARGEST_ANSWER = 64 * 1024
"""So much is read of a no, for the log's sake; nobody needs the body of a yes."""

LONGEST_QUOTE = 120


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    ca_file: Path | None = None,
    seconds: float = LONGEST_SENDING,
) -> None:
    """POST once. Raises `NotDelivered` unless the answer was a 2xx.

    The address may be a secret: only its host is told.
    """
    request = Request("POST", url, headers=headers, body=body)
    try:
        host = str(request.place().hostname)
    except NotSent as problem:
        raise NotDelivered(str(problem)) from None
    try:
        with Client(ca_file).open(request, seconds=seconds) as answer:
            if not answer.is_success:
                raise _refusal(host, answer)
    except NoAnswer as problem:
        raise NotDelivered(f"{host} gave no whole answer: {problem}") from problem


def _refusal(host: str, answer: Answer) -> NotDelivered:
    return NotDelivered(
        f"{host} answered {answer.status}{_quoted(answer)}",
        status_code=answer.status,
        retry_after=_asked_wait(answer.headers.get("retry-after")),
        # Standard Webhooks: whoever answers so does not want to be told any more.
        hopeless=answer.status == HTTPStatus.GONE,
    )


def _quoted(answer: Answer) -> str:
    """A short word of the subscriber's; an error page may show the address, which is a secret."""
    try:
        said = answer.read(largest=LARGEST_ANSWER).body
    except InDoubt:
        return ""  # its status counts, however long its words would go on
    text = said.decode(errors="replace").strip()
    harmless = 0 < len(text) <= LONGEST_QUOTE and not {"/", "%", "&"} & set(text)
    return f": {shown(text, LONGEST_QUOTE)}" if harmless else ""


def _asked_wait(text: str | None) -> timedelta | None:
    """Read `Retry-After`: seconds, or a date."""
    if text is None:
        return None
    if text.isascii() and text.strip().isdigit():
        return timedelta(seconds=min(int(text.strip()[:9]), 86400 * 7))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    now = datetime.now(UTC)  # noqa: TID251  a header's date is on the wall clock
    return max(moment.astimezone(UTC) - now, timedelta(0))


def read_secret_file(path: Path | None) -> str:
    """Read a secret anew for each sending, so that it can be replaced. Raises `NotDelivered`."""
    if path is None:
        raise NotDelivered("the configuration names no file for the secret")
    try:
        return read_secret(path)
    except BadFile as error:
        raise NotDelivered(str(error)) from None
