"""What GitHub's answers mean: whether a run may exist, how long to wait, what to mend."""

import json
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.policies import shown
from receiver.dispatchers.github_cures import cure_of_403, cure_of_422
from receiver.dispatchers.refusals import REFUSALS

READ_REFUSALS: AbstractSet[int] = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}
)

REQUIRED_INPUT = re.compile(r"[Rr]equired input '([^']+)' not provided")
"""GitHub's sentence about an input without a default that a request does not have."""

ONLY_FOR_NOW = ("rate limit", "abuse detection")
"""In a 403: GitHub waits for us to be slower, whatever its headers say."""

LONGEST_MESSAGE = 500
LONGEST_QUOTE = 200
LONGEST_LIST = 120

USUAL_WAIT = timedelta(minutes=1)
"""GitHub's advice for a rate limit that does not say when it ends."""

LONGEST_WAIT = timedelta(hours=1)
"""GitHub's longest rate limit window; a stranger's header must not hold a dispatch for ever."""


@dataclass(frozen=True, slots=True)
class GithubAnswer:
    """What GitHub, or something in front of it, answered.

    Attributes:
        status: The HTTP status.
        headers: By lower-case name.
        body: As text; anything, when it comes from a proxy or a login page.
        token: What we asked with. Some proxies show the request they reject.

    """

    status: int
    headers: Mapping[str, str]
    body: str
    token: str = field(default="", repr=False)

    @property
    def content(self) -> dict[str, Any]:
        """The JSON object in the body; empty if the body holds anything else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def quoted(self) -> str:
        """GitHub's own words, escaped and short enough for a sentence."""
        said = str(self.content.get("message", self.body))
        if self.token:
            said = said.replace(self.token, "[token]")
        quote = shown(said, LONGEST_QUOTE)
        return quote if len(quote) <= LONGEST_QUOTE else quote[: LONGEST_QUOTE - 4] + "...'"

    @property
    def limits_rate(self) -> bool:
        """Whether it was turned away only for now. GitHub says so with 429 or with 403."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or (
            self.status == HTTPStatus.FORBIDDEN
            and (
                "retry-after" in self.headers
                or self.headers.get("x-ratelimit-remaining") == "0"
                or any(words in self.body.lower() for words in ONLY_FOR_NOW)
            )
        )


def error(message: str, failure: Failure, answer: GithubAnswer | None = None) -> DispatchError:
    """Build a `DispatchError` whose message fits into a log line."""
    limited = answer is not None and answer.limits_rate
    return DispatchError(
        message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "...",
        failure,
        status_code=None if answer is None else answer.status,
        retry_after=asked_wait(answer) if answer is not None and limited else None,
    )


def start_error(
    answer: GithubAnswer, dispatch: Dispatch, credentials: str, moved: str = ""
) -> DispatchError:
    """Say what an answer that names no run tells about the run that was asked for.

    `moved` says what to mend if the repository is called otherwise now.
    """
    if answer.limits_rate:
        return error(f"GitHub limits our rate: {answer.quoted}", Failure.UNAVAILABLE, answer)
    if answer.status in REFUSALS:
        return error(_refusal(answer, dispatch, credentials), Failure.REFUSED, answer)
    return error(
        f"GitHub answered {answer.status} without naming a run, which may exist: {answer.quoted}"
        f"{'; ' if moved else ''}{moved}",
        Failure.UNKNOWN,
        answer,
    )


def moved_error(answer: GithubAnswer, moved: str) -> DispatchError:
    """Say that a repository is called otherwise now; about its runs that tells nothing."""
    return error(
        f"GitHub answered {answer.status}: {answer.quoted}; {moved}", Failure.UNAVAILABLE, answer
    )


def read_error(answer: GithubAnswer, what: str, credentials: str) -> DispatchError:
    """Say whether looking again can help; about the run a failed look tells nothing."""
    refused = answer.status in READ_REFUSALS and not answer.limits_rate
    return error(
        f"GitHub answered {answer.status} instead of {what} (asked with {credentials}): "
        f"{answer.quoted}",
        Failure.REFUSED if refused else Failure.UNAVAILABLE,
        answer,
    )


def _refusal(answer: GithubAnswer, dispatch: Dispatch, credentials: str) -> str:
    """Why it will never start, and what to mend."""
    place = dispatch.place
    where = f"{place['workflow']} in {place['repository']}"
    refused = f"GitHub refused with {answer.status}: {answer.quoted}"
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return f"{refused}; renew {credentials}"
        case HTTPStatus.FORBIDDEN:
            said = str(answer.content.get("message", answer.body))
            cure = cure_of_403(said, answer.headers, credentials, place["repository"])
            return f"{refused}; {cure}"
        case HTTPStatus.NOT_FOUND:
            return (
                f"{refused}; {where} must be on the default branch, and {credentials} needs access"
            )
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return _unprocessable(answer, dispatch, where)
        case _:
            return refused


def _unprocessable(answer: GithubAnswer, dispatch: Dispatch, where: str) -> str:
    """What is wrong with a workflow, or with what was sent to it."""
    workflow = dispatch.place["workflow"]
    refused = f"GitHub refused with {answer.status}: {answer.quoted}"
    cure = cure_of_422(answer.body, workflow, dispatch.place["ref"])
    if cure is not None:
        return f"{refused}; {cure}"
    if _left_out(answer, dispatch):
        return (
            f"{refused}; it was left out of what is sent: the target's `inputs` do not name "
            "it, or it is the value of an alert that has none (give the rule an annotation "
            f"`value`, or {workflow} a default and `required: false`)"
        )
    if "nexpected input" in answer.body or "workflow_dispatch" in answer.body:
        return (
            f"GitHub refused with 422; {where} must hold: {_lines_to_add(dispatch)}; "
            f"it said {answer.quoted}"
        )
    return refused


def _left_out(answer: GithubAnswer, dispatch: Dispatch) -> bool:
    """Whether the workflow requires an input that was not sent."""
    required = REQUIRED_INPUT.search(str(answer.content.get("message", "")))
    return required is not None and required[1] not in dispatch.inputs


def _lines_to_add(dispatch: Dispatch) -> str:
    """YAML that makes a workflow take our inputs and show our id, on one line."""
    names = ", ".join(f"{name}: {{type: string}}" for name in ("dispatch_id", *dispatch.inputs))
    if len(names) > LONGEST_LIST:
        names = names[:LONGEST_LIST].rpartition(", ")[0] + ", ..."
    return (
        'run-name: "retrain [${{ inputs.dispatch_id }}]" and '
        f"on: {{workflow_dispatch: {{inputs: {{{names}}}}}}}"
    )


def asked_wait(answer: GithubAnswer) -> timedelta:
    """How long the server asks us to wait; by its own clock, ours may differ."""
    headers = answer.headers
    wait = USUAL_WAIT
    if "retry-after" in headers:
        asked = _seconds(headers["retry-after"])
        wait = _until(_date(headers["retry-after"]), answer) if asked is None else asked
    elif headers.get("x-ratelimit-remaining") == "0":
        # GitHub sends the reset with every answer; it counts only once nothing remains.
        reset = _seconds(headers.get("x-ratelimit-reset", ""))
        wait = _until(None if reset is None else datetime.fromtimestamp(0, UTC) + reset, answer)
    return min(max(wait, timedelta(0)), LONGEST_WAIT)


def _until(then: datetime | None, answer: GithubAnswer) -> timedelta:
    sent = _date(answer.headers.get("date", ""))
    return USUAL_WAIT if then is None or sent is None else then - sent


def _seconds(text: str) -> timedelta | None:
    return timedelta(seconds=int(text)) if re.fullmatch("[0-9]{1,11}", text.strip()) else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
