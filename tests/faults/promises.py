"""What must hold after any fault. It knows the promises, and nothing of how they are kept."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.faults.busy import Busy
from tests.faults.load import Acknowledged
from tests.processes import Api

PROVEN_ABSENT = "left no run"
"""What the history of a dispatch says when one of its attempts was."""

ENDS = {"succeeded", "superseded"}


def check_some(api: Api, acknowledged: Iterable[Acknowledged]) -> None:
    """G1 for a few: looked at right after the fault, not only when all is over."""
    for one in acknowledged:
        found = api.decisions(notification_id=one.notification_id)
        ids = [decision["id"] for decision in found]
        assert ids == [said["id"] for said in one.decisions], f"{one.notification_id}: {ids}"


def check_log(acknowledged: Sequence[Acknowledged], decisions: list[dict[str, Any]]) -> None:
    """G1: nothing acknowledged is lost or changed, and nothing is stored by halves."""
    assert len({decision["id"] for decision in decisions}) == len(decisions)
    stored = defaultdict(list)
    for decision in decisions:
        if decision["source"] == "alertmanager":
            stored[decision["notification_id"]].append(decision)
    for one in acknowledged:
        found = stored[one.notification_id]
        kept = [{key: each[key] for key in one.decisions[0]} for each in found]
        assert kept == one.decisions, f"told {one.decisions}, kept {kept}"
        assert [each["labels"] for each in found] == [alert["labels"] for alert in one.alerts]
    for found in stored.values():
        valued = [each["value"] for each in found if each["value"] is not None]
        for batch, count in Counter(f"{value:.8f}" for value in valued).items():
            size = int(batch[-1])  # see the load; 0 for what is of none of its notifications
            assert size in {0, count}, f"half of batch {batch}"


def check_dispatches(decisions: list[dict[str, Any]], dispatches: list[dict[str, Any]]) -> None:
    """G2: every trigger has its dispatch and every dispatch its trigger; each came to an end."""
    triggers = [each["dispatch_id"] for each in decisions if each["reason"] == "triggered"]
    assert sorted(triggers) == [dispatch["id"] for dispatch in dispatches]
    for dispatch in dispatches:
        given_up = dispatch["state"] == "parked" and dispatch["attempt"] == 3
        assert dispatch["state"] in ENDS or given_up, f"came to no end: {dispatch}"


def check_cooldowns(
    dispatches: list[dict[str, Any]], cooldown: timedelta, settle: timedelta
) -> None:
    """G2: no dispatch was ordered in the cooldown that an earlier one of its model took."""
    by_model = defaultdict(list)
    for dispatch in dispatches:
        by_model[dispatch["model"]].append(dispatch)
    for before, after in (pair for each in by_model.values() for pair in pairwise(each)):
        began, told = moment(after["created_at"]), f"{before}\nand then\n{after}"
        assert moment(before["ended_at"]) <= began, f"doubled: {told}"
        if before["state"] == "succeeded":
            assert moment(before["sent_at"]) + cooldown <= began, f"in the cooldown: {told}"
            assert moment(before["ended_at"]) + settle <= began, f"before it settled: {told}"


def check_target(peer: Busy, dispatches: list[dict[str, Any]], api: Api) -> None:
    """G2, G3: one run for each dispatch that was sent; sent again only after proven absence."""
    assert peer.overlaps == [], f"two runs of a model at a time: {peer.overlaps}"
    done = {each["id"]: each["run_id"] for each in dispatches if each["state"] == "succeeded"}
    runs = sorted((run.inputs["dispatch_id"], str(run.id)) for run in peer.runs)
    assert runs == sorted(done.items()), f"more or fewer: {set(runs) ^ set(done.items())}"
    asked = Counter(each.body["inputs"]["dispatch_id"] for each in peer.requests("dispatch"))
    assert asked.keys() <= {dispatch["id"] for dispatch in dispatches}
    for dispatch_id, posts in asked.items():
        history = api.dispatch(dispatch_id)["transitions"] if posts > 1 else []
        absences = sum(PROVEN_ABSENT in change["detail"] for change in history)
        assert posts <= 1 + absences, f"{dispatch_id} was sent {posts} times: {history}"


def moment(text: str) -> datetime:
    """Read a time of the API."""
    return datetime.fromisoformat(text)
