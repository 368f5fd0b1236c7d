"""Targets: the workflow or pipeline that retrains a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class TargetKind(StrEnum):
    """Which dispatcher serves a target. Stored with each dispatch: never rename one."""

    GITHUB = "github"
    KFP = "kfp"
    KFP_LOCAL = "kfp_local"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Target:
    """A target as the configuration names it, without credentials.

    Attributes:
        name: Unique in the file.
        place: Where runs are started (`repository`, `workflow`, `ref`, `base_url`; `endpoint`,
            `pipeline`, `experiment`, `namespace`; `base_url` and the rest of an `HttpApi`).
            Values are templates over identity labels.
        inputs: The run's inputs or parameters: name to template over the identity labels,
            `{value}` and `{alertname}`.

    """

    name: str
    kind: TargetKind
    place: Mapping[str, str]
    inputs: Mapping[str, str]

    @property
    def address(self) -> str:
        """What its credential is for."""
        return address_of(self.kind, self.place)


class Placed(Protocol):
    """What was ordered at a place of a target, which the target may have left since."""

    @property
    def target(self) -> str:
        """The target's name."""

    @property
    def kind(self) -> TargetKind:
        """What the target was then."""

    @property
    def place(self) -> Mapping[str, str]:
        """Where it was then."""


ADDRESSES = {
    TargetKind.GITHUB: ("base_url", "repository"),
    TargetKind.KFP: ("endpoint",),
    TargetKind.HTTP: ("base_url",),
}
"""The parts of a place that say who is asked; local pipelines need no credential."""


def address_of(kind: TargetKind, place: Mapping[str, str]) -> str:
    """Who is asked about a place: the only one whom the credential for it may reach."""
    parts = [place.get(name, "").rstrip("/").lower() for name in ADDRESSES.get(kind, ())]
    return " ".join([kind.value, *parts])
