"""Who may come in, whatever the file holds: the token's owner if it is known, nobody else."""

from http import HTTPStatus

from tests.simulation.doors import Knock
from tests.simulation.history import Lived
from tests.simulation.violations import Violations
from tests.simulation.world import Kind


def check_doors(lived: Lived, found: Violations) -> None:
    """Check every knock that was noted."""
    for note in lived.notes:
        if note.kind is not Kind.KNOCK:
            continue
        knock: Knock = note.data
        if not knock.ours and knock.refused is None:
            found.add("door", note, "somebody came in without the token")
        elif knock.ours and (knock.readable or knock.known) and knock.refused is not None:
            found.add("door", note, "the token's owner was refused, although it was known")
        elif knock.ours and knock.refused not in {None, HTTPStatus.SERVICE_UNAVAILABLE}:
            found.add("door", note, "that was our fault, and Alertmanager does not try again")
