"""Coverage-guided fuzzing of a webhook's body: parsed, matched, decided, shown; by atheris.

.venv-fuzz/bin/python -m tests.fuzz.notifications -runs=500000 FOLDER
"""

import json
import sys
from dataclasses import replace

import atheris

with atheris.instrument_imports(include=["receiver"]):
    from receiver.alertmanager import parse_notification, raw_alert
    from receiver.core.alerts import BadNotification
    from receiver.core.decisions import Facts
    from receiver.core.inputs import fill_inputs, fill_place
    from receiver.core.ladder import LADDER, Case, decide
    from receiver.core.models import Pause, PauseScope
    from receiver.core.policy_set import Matched
    from receiver.flows.intake.taking_in import arrive
    from receiver.store.column_types import storable, to_micros

from tests.examples import DRIFT, PIPELINE, policy_set
from tests.fakes import NOON

PAUSE = Pause(PauseScope.EVERYTHING, "", NOON, NOON, "ana", "why")
SEEN = Facts(decided_at=NOON, resolved_at=NOON, pause=PAUSE, cooldown_until=NOON)
PLAYBOOK = policy_set(DRIFT)


def take(body: bytes) -> None:
    """Do what an intake does with a body, but for the store. Raises nothing."""
    try:
        notification = parse_notification(body)
    except BadNotification as error:
        said = str(error)
        assert said.isascii()
        assert said.isprintable()
        assert len(said) < 1000
        return
    arrival = arrive(notification, PLAYBOOK)
    assert len(arrival.matched) == len(notification.alerts)
    for one in arrival.matched[:50]:
        look(body, one)


def look(body: bytes, matched: Matched) -> None:
    """Decide one alert, and show and store what that brings."""
    alert = matched.alert
    for seen in (Facts(), SEEN):
        facts = replace(seen, problem=matched.problem)
        finding = decide(Case(alert, matched.policy, facts, NOON), LADDER)
        json.dumps([finding.detail, [gate.saw for gate in finding.gates]], allow_nan=False)
    for moment in (alert.starts_at, alert.ends_at):
        assert moment is None or abs(to_micros(moment)) < 2**63
    for text in (alert.fingerprint, alert.alertname, *alert.labels, *alert.labels.values()):
        assert "\0" not in storable(text)
        storable(text).encode()
    json.dumps(raw_alert(body, alert.position), allow_nan=False).encode()
    if matched.identity is not None:
        fill_place(PIPELINE, matched.identity.labels)
        filled = fill_inputs(
            PIPELINE, matched.identity.labels, value=alert.value, alertname=alert.alertname
        )
        json.dumps(filled, allow_nan=False)


def main() -> None:
    """Fuzz until libFuzzer's arguments say that it is enough."""
    atheris.Setup(sys.argv, take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
