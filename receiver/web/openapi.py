"""Describes the API."""

from typing import Any

from receiver import __version__


def openapi() -> dict[str, Any]:
    """The OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "retrain-receiver", "version": __version__},
        "paths": {},
    }
