"""Tenants: which models a reader sees who is limited to labels."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose models are those that an identity label names.

    Attributes:
        label_sets: A model belongs to them whose identity labels hold all pairs of one of these.

    """

    label_sets: frozenset[frozenset[tuple[str, str]]]

    def __post_init__(self) -> None:
        """Without a pair everybody's models would be theirs."""
        if not all(self.label_sets):
            raise ValueError("a tenant without labels would see everything")

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> "Tenant":
        """Whoever sees the models with all of these labels."""
        return cls(frozenset({frozenset(labels.items())}))

    def __or__(self, other: "Tenant") -> "Tenant":
        """Whoever is both."""
        return Tenant(self.label_sets | other.label_sets)

    def __str__(self) -> str:
        """`user_id=user01`, and `or` between several."""
        told = (
            ",".join(f"{name}={value}" for name, value in sorted(one)) for one in self.label_sets
        )
        return " or ".join(sorted(told))
