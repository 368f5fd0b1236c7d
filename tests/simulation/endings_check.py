"""After the faults have stopped nothing stays undone."""

from datetime import timedelta

from sqlalchemy import select

from receiver.store.store import Store
from receiver.store.tables import firing_alerts
from tests.simulation.history import Lived
from tests.simulation.model_state import LIVE
from tests.simulation.plans import HOUR, MINUTE
from tests.simulation.restraint_check import is_open
from tests.simulation.violations import Violation, Violations
from tests.simulation.world import Kind

STEPS = 10
"""How closely the last hours are looked at."""


def check_endings(lived: Lived, store: Store, found: Violations) -> None:
    """Every dispatch has ended, or was made a short while ago, or its run goes on."""
    back = -sum(n.data for n in lived.notes if n.kind is Kind.CLOCK and n.data < 0)
    patience = 45 * MINUTE + back
    if patience > lived.plan.heals - HOUR:
        return
    made = {
        note.data["dispatch_id"]: note.at
        for note in lived.notes
        if note.kind is Kind.DISPATCH and note.data["number"] == 1
    }
    going = {
        run.dispatch_id
        for site in lived.sites.values()
        for run in site.runs
        if run.ends > lived.ended - patience
    }
    _nothing_believed_for_ever(lived, store, timedelta(seconds=patience), found)
    for state in sorted(LIVE):
        if state == "pending" and not was_open(lived, patience):
            continue
        with store.view() as view:
            page = view.dispatches.page({"state": state}, limit=500)
        for row in page.rows:
            if row.id not in going and made[row.id] < lived.ended - patience:
                said = f"dispatch {row.id} is {state} for ever: {row.detail}"
                found.found.append(Violation("stuck", lived.ended, said))


def _nothing_believed_for_ever(
    lived: Lived, store: Store, patience: timedelta, found: Violations
) -> None:
    """What nobody confirms any more is taken for gone."""
    alerts = firing_alerts.c
    end = lived.wall
    with store._reading() as db:
        query = select(alerts.fingerprint, alerts.expires_at)
        for row in db.execute(query.where(alerts.expires_at < end - patience)):
            said = f"alert {row.fingerprint} fires for ever: it expired at {row.expires_at}"
            found.found.append(Violation("stuck", lived.ended, said))


def was_open(lived: Lived, patience: float) -> bool:
    """Whether the usual policy's window let something be sent all the time lately."""
    window = lived.plan.rungs[0].window
    moments = [timedelta(seconds=patience * step / STEPS) for step in range(STEPS + 1)]
    end = lived.wall
    return window is None or all(is_open(window, end - moment) for moment in moments)
