"""Which HTTP statuses say that a run was not started and never will be."""

from collections.abc import Set as AbstractSet
from http import HTTPStatus

REFUSALS: AbstractSet[int] = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.GONE,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""Any other 4xx leaves a dispatch in doubt."""
