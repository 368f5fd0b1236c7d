"""After the faults have stopped nothing stays undone."""

from receiver.store import queries
from receiver.store.store import Store
from tests.simulation.history import Lived
from tests.simulation.plans import HOUR, MINUTE
from tests.simulation.violations import Violation, Violations
from tests.simulation.world import Kind

LIVE = ("pending", "sending", "unknown", "running")


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
    for state in LIVE:
        with store.read() as db:
            page = queries.list_dispatches(db, {"state": state}, before=None, limit=500)
        for row in page.rows:
            if row.id not in going and made[row.id] < lived.ended - patience:
                said = f"dispatch {row.id} is {state} for ever: {row.detail}"
                found.found.append(Violation("stuck", lived.ended, said))
