"""GET /announcements: what subscribers were told, or could not be told."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from receiver.config import Role
from receiver.core.announcements import Announcement, AnnouncementState, Kind
from receiver.store.views.announcements import ANNOUNCEMENT_FILTERS
from receiver.web.auth import require
from receiver.web.params import cursor, filters, limit, only
from receiver.web.responses import Encoded, as_json, page_answer
from receiver.web.service import Service
from receiver.web.shapes.announcements import AnnouncementJson

ASKED = (*ANNOUNCEMENT_FILTERS, "limit", "cursor")

WORDS = {"kind": Kind, "state": AnnouncementState}


class Announcements:
    """The route of the outbox to subscribers."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def list(self, request: Request) -> Response:
        """A page, newest first."""
        require(request, self._service.loaded.tokens, Role.READER, Role.OPERATOR)
        only(request, ASKED)
        wanted = filters(request, ANNOUNCEMENT_FILTERS, WORDS)
        before, rows = cursor(request), limit(request)

        shown = Encoded(_as_json)

        def read() -> Response:
            with self._service.store.view() as view:
                page = view.announcements.page(wanted, before=before, limit=rows, fits=shown.fits)
            return page_answer("announcements", shown.parts, page.next_cursor)

        return await run_in_threadpool(read)


def announcement_json(announcement: Announcement) -> AnnouncementJson:
    """An announcement as the list shows it."""
    return {
        "id": announcement.id,
        "subscriber": announcement.subscriber,
        "kind": announcement.kind,
        "model": announcement.model,
        "policy": announcement.policy,
        "at": announcement.at,
        "state": announcement.state,
        "tries": announcement.tries,
        "due_at": announcement.due_at,
        "ended_at": announcement.ended_at,
        "detail": announcement.detail,
        "status_code": announcement.status_code,
        "data": dict(announcement.data),
    }


def _as_json(announcement: Announcement) -> bytes:
    return as_json(announcement_json(announcement))
