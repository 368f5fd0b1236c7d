"""A target's dispatcher that sends its credential to its own address only."""

from collections.abc import Mapping

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.ports import Dispatcher
from receiver.core.reports import Report
from receiver.core.runs import Look, Run, RunStatus
from receiver.core.targets import Target, address_of
from receiver.dispatchers.lazy import LateDispatcher


class AtItsAddress:
    """Asks about each dispatch with the credential that is configured for where it went.

    The configuration may have given the target another address since, whose credential is none of
    the old one's business. `others` are the dispatchers of the same kind of target, by address.
    """

    def __init__(
        self, own: LateDispatcher, address: str, others: Mapping[str, LateDispatcher]
    ) -> None:
        self.lookup_window = own.lookup_window
        self.run_timeout = own.run_timeout
        self._own = own
        self._by_address = {**others, address: own}

    def load(self) -> Dispatcher:
        """Load the client library."""
        return self._own.load()

    @property
    def always_shows_id(self) -> bool:
        """Whether every run can be found by its dispatch's id."""
        return self._own.always_shows_id

    def find(self, dispatch: Dispatch, known: Dispatch | None = None) -> Look:
        """The run that carries this dispatch's id, of any attempt in doubt."""
        return self._at(dispatch).find(dispatch, known)

    def start(self, dispatch: Dispatch) -> Run:
        """Ask once for a run that carries this dispatch's id."""
        return self._at(dispatch).start(dispatch)

    def poll(self, dispatch: Dispatch) -> RunStatus:
        """How the run `dispatch.run_id` stands now."""
        return self._at(dispatch).poll(dispatch)

    def read_report(self, dispatch: Dispatch) -> Report | None:
        """What the ended run `dispatch.run_id` says of what it made."""
        return self._at(dispatch).read_report(dispatch)

    def _at(self, dispatch: Dispatch) -> LateDispatcher:
        address = address_of(dispatch.kind, dispatch.place)
        if address not in self._by_address:
            raise DispatchError(
                f"no credential is configured for {address}: target {dispatch.target} moved",
                Failure.UNAVAILABLE,
            )
        return self._by_address[address]


def at_their_addresses(
    targets: Mapping[str, Target], late: Mapping[str, LateDispatcher]
) -> dict[str, AtItsAddress]:
    """The targets' dispatchers, by name; each lends its credential to those of its kind."""
    return {
        name: AtItsAddress(
            late[name],
            target.address,
            {
                other.address: late[at]
                for at, other in targets.items()
                if other.kind is target.kind
            },
        )
        for name, target in targets.items()
    }
