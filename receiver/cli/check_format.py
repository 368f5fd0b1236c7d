"""The forms in which `check-config` tells what it found."""

from enum import StrEnum


class CheckFormat(StrEnum):
    """For people, or for programs."""

    TEXT = "text"
    JSON = "json"
