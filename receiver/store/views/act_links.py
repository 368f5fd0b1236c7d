"""What is true of the question that an act link answers, for showing it and for acting."""

from datetime import datetime

from sqlalchemy import Connection, and_, exists, select

from receiver.core.act_links import ActLink, Question
from receiver.core.decisions import Reason
from receiver.store.column_types import storable
from receiver.store.model_rows import models_named
from receiver.store.tables import answers, firing_alerts
from receiver.store.views.moment import Reads
from receiver.store.views.restraints import approvals_of
from receiver.store.views.storms import released_at

LINKS = "\nlinks"
"""Under whose name uses are remembered beside operators' answers: no person is called so."""


class ActLinkReads(Reads):
    """Reads about links."""

    def question(self, link: ActLink, since: datetime) -> Question:
        """The question as it is now; what was used before `since` is forgotten."""
        return question_of(self._db, link, since)


def question_of(db: Connection, link: ActLink, since: datetime) -> Question:
    """What a link answers, as it is now."""
    each, name = firing_alerts.c, storable(link.model)
    used = exists().where(
        answers.c.actor == LINKS, answers.c.key == link.id, answers.c.answered_at > since
    )
    fires = exists().where(and_(each.model == name, each.policy == link.policy))
    stormed = exists().where(and_(each.policy == link.policy, each.held_by == Reason.STORM.value))
    row = db.execute(select(used, fires, stormed)).one()
    return Question(
        used=bool(row[0]),
        model=models_named(db, [name]).get(name),
        fires=bool(row[1]),
        approval=approvals_of(db, [name]).get(name),
        released_at=released_at(db, link.policy),
        stormed=bool(row[2]),
    )
