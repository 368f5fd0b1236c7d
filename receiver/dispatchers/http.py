"""Starts and watches runs at any HTTP API that the configuration describes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.http_api import (
    HttpApi,
    HttpOrder,
    NoAddress,
    message_in,
    run_id_in,
    state_in,
)
from receiver.core.policies import shown
from receiver.core.reports import Report
from receiver.core.runs import Absent, Look, NotSeen, Repeatable, Run, RunState, RunStatus
from receiver.dispatchers.http_answers import HttpAnswer, error_of
from receiver.dispatchers.http_client import HttpAccess, HttpClient, filled

NO_WAY_TO_LOOK = (
    "the target names its runs itself and does not promise to start one run only for an "
    "Idempotency-Key, so nothing can be asked; look there, or choose the id with `run.id`"
)

NO_CONTROL = "nothing shows that the target is well: write its `check_url`"


class HttpDispatcher:
    """Posts an order once, and reads its run where the answer or our own id says it is.

    Attributes:
        lookup_window: How long a run that was asked for may not show yet.
        run_timeout: A run that is older is handed to a human.
        always_shows_id: False: `run.url` may be wrong, and would then show no run at all.

    """

    always_shows_id = False

    def __init__(
        self,
        access: HttpAccess,
        *,
        lookup_window: timedelta,
        run_timeout: timedelta,
        timeout: timedelta = timedelta(seconds=20),
    ) -> None:
        self.lookup_window = lookup_window
        self.run_timeout = run_timeout
        self._client = HttpClient(access, timeout)

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:
        """Read the run whose id we chose. What else can be said, the target must have promised."""
        order = _order(dispatch)
        if order.run_id is None:
            return Repeatable() if order.api.idempotent else NotSeen(NO_WAY_TO_LOOK)
        with _telling(Failure.UNKNOWN):
            found = self._read(order, order.run_id)
            if found is not None:
                return _run(order, order.run_id)
            if order.api.idempotent:
                return Repeatable()
            if order.api.check_url is None:
                return NotSeen(NO_CONTROL)
            self._client.check(order.api, dispatch.place)
            if known is not None and self._read(_order(known), known.run_id or "") is None:
                return NotSeen(f"the target does not show run {known.run_id} either, which it had")
        return Absent()

    def start(self, dispatch: Dispatch) -> Run:
        """POST once. Only a token that was replaced meanwhile lets a refused POST be sent again.

        A target that promised to start no second run may be asked again while an earlier attempt
        is in doubt: what it then refuses proves nothing about that attempt.
        """
        order = _order(dispatch)
        try:
            return self._started(order, self._post(order))
        except DispatchError as error:
            surely = error.failure is not Failure.REFUSED
            if surely or not order.api.idempotent or dispatch.open_doubts <= 1:
                raise
            raise DispatchError(
                f"{error}; an earlier attempt may have started the run",
                Failure.UNKNOWN,
                status_code=error.status_code,
            ) from error

    def poll(self, dispatch: Dispatch) -> RunStatus:
        """How the run stands now."""
        order, run_id = _order(dispatch), dispatch.run_id or ""
        with _telling(Failure.UNKNOWN):
            found = self._read(order, run_id)
            if found is None:
                self._prove_well(order)
                return RunStatus(RunState.GONE, "the target does not know the run")
        state, word = state_in(order.api, found)
        said = message_in(order.api, found) if state is RunState.FAILED else ""
        return RunStatus(
            state,
            _plain(word or "no state") + (f": {shown(said, 200)}" if said else ""),
            _link(order, run_id),
            shows_id=order.run_id == run_id,
            note=_note(order.api, word),
        )

    def read_report(self, dispatch: Dispatch) -> Report | None:  # noqa: ARG002  the port's
        """Nothing: there is no usual place where such an API would show one."""
        return None

    def _post(self, order: HttpOrder) -> HttpAnswer:
        kind, content = order.content()
        body = json.dumps(content, allow_nan=False).encode()
        headers = {"Content-Type": kind, "Idempotency-Key": order.dispatch.id}
        filled(lambda: order.run_url("x"))  # what can't be followed is not started
        return self._client.post(filled(order.url), headers, body, order.dispatch.id)

    def _started(self, order: HttpOrder, answer: HttpAnswer) -> Run:
        if answer.status == HTTPStatus.CONFLICT and order.run_id is not None:
            return self._in_conflict(order, answer)
        if not answer.is_success:
            safe = order.api.idempotent or order.run_id is not None
            raise error_of(answer, safe=safe)
        named = run_id_in(order.api, answer.headers, answer.content)
        if order.run_id is not None and named in (None, order.run_id):
            return _run(order, order.run_id)
        if order.run_id is None and named is not None:
            return _run(order, named)
        where = order.api.answer_id or ""
        instead = "no run" if named is None else f"the run {shown(named)}"
        raise DispatchError(
            f"{answer.host} answered {answer.status} and names {instead} at "
            f"{where}, though one may exist: {answer.quoted}",
            Failure.UNKNOWN,
            status_code=answer.status,
        )

    def _in_conflict(self, order: HttpOrder, answer: HttpAnswer) -> Run:
        """Our id is taken: by our own run, if that shows; else something else is in the way."""
        with _telling(Failure.UNKNOWN):
            found = self._read(order, order.run_id or "")
        if found is not None:
            return _run(order, order.run_id or "")
        raise error_of(answer)

    def _read(self, order: HttpOrder, run_id: str) -> dict[str, Any] | None:
        """What the target shows of a run; None if it says that there is none."""
        found = self._client.get(filled(lambda: order.run_url(run_id)))
        named = None if found is None else run_id_in(order.api, {}, found)
        if order.run_id is not None and named not in (None, run_id):
            raise DispatchError(
                f"the target shows the run {shown(str(named))} instead of the one asked for",
                Failure.UNKNOWN,
            )
        return found

    def _prove_well(self, order: HttpOrder) -> None:
        if order.api.check_url is None:
            raise DispatchError(
                f"the target does not know the run, and {NO_CONTROL}", Failure.UNKNOWN
            )
        self._client.check(order.api, order.dispatch.place)


def _order(dispatch: Dispatch) -> HttpOrder:
    return HttpOrder(HttpApi.at(dispatch.place), dispatch)


def _run(order: HttpOrder, run_id: str) -> Run:
    return Run(run_id, _link(order, run_id), shows_id=order.run_id == run_id)


def _link(order: HttpOrder, run_id: str) -> str | None:
    try:
        return order.link(run_id)
    except NoAddress:
        return None


def _plain(word: str) -> str:
    return shown(word).strip("'")


def _note(api: HttpApi, word: str | None) -> str:
    """What an operator should know of a state that the configuration does not."""
    if word is None:
        return f"its answer shows no state at {api.state}"
    if word in api.states or not api.names_running:
        return ""
    return f"the target calls its state {shown(word)}, which the configuration does not name"


@contextmanager
def _telling(failure: Failure) -> Iterator[None]:
    """Say what a failed request tells about the run, which is not what it tells about itself."""
    try:
        yield
    except DispatchError as error:
        raise DispatchError(str(error), failure, status_code=error.status_code) from error
