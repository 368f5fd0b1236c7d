"""A view: everything that can be read of the store, at one moment."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection

from receiver.core.policies import Policy
from receiver.core.ports import Clock
from receiver.core.snapshot import Snapshot
from receiver.core.sources import Asking
from receiver.core.tenants import Tenant
from receiver.store.clock_rows import AheadReads
from receiver.store.narrowing import Narrowed
from receiver.store.views.act_links import ActLinkReads
from receiver.store.views.announcements import AnnouncementReads
from receiver.store.views.budgets import Usages
from receiver.store.views.charts import ChartReads
from receiver.store.views.decisions import DecisionReads
from receiver.store.views.dispatches import DispatchReads
from receiver.store.views.holds import HoldReads
from receiver.store.views.model_lists import ModelListReads
from receiver.store.views.models import ModelReads
from receiver.store.views.moment import Moment
from receiver.store.views.needs import NeedReads
from receiver.store.views.page import PageReads
from receiver.store.views.policies import PolicyReads
from receiver.store.views.rejections import RejectionReads
from receiver.store.views.snapshot import read_snapshot
from receiver.store.views.sources import SourceReads
from receiver.store.views.targets import TargetReads


class View:
    """The store as it is at one moment, whatever is committed meanwhile; reads by subject.

    For a tenant there is nothing in it but what is theirs.
    """

    def __init__(self, db: Connection, clock: Clock | None, tenant: Tenant | None = None) -> None:
        self._moment = Moment(db, clock, None if tenant is None else Narrowed(db, tenant))
        self.decisions = DecisionReads(self._moment)
        self.lists = ModelListReads(self._moment)
        self.models = ModelReads(self._moment, lambda: self.usages)
        self.dispatches = DispatchReads(self._moment)
        self.announcements = AnnouncementReads(self._moment)
        self.rejections = RejectionReads(self._moment)
        self.policies = PolicyReads(self._moment)
        self.holds = HoldReads(self._moment)
        self.page = PageReads(self._moment)
        self.charts = ChartReads(self._moment)
        self.sources = SourceReads(self._moment)
        self.targets = TargetReads(self._moment)
        self.needs = NeedReads(self._moment)
        self.ahead = AheadReads(self._moment)
        self.act_links = ActLinkReads(self._moment)

    @property
    def now(self) -> datetime:
        """The time that deciding uses, asked once."""
        return self._moment.now

    @cached_property
    def usages(self) -> Usages:
        """How much of limits is used; each is read once."""
        return Usages(self._moment.db, self.now)

    def snapshot(self, policies: Sequence[Policy] = (), asking: Asking | None = None) -> Snapshot:
        """Everything that the metrics show.

        Of the policies the budgets are told, of those that are asked what they said last.
        """
        return read_snapshot(self._moment, self.usages, policies, asking)
