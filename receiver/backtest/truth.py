"""The truth of a replay: when each model is bad, and what ends that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from receiver.backtest.histories import BadHistory, Firing, History, merged, shown_names
from receiver.core.alerts import Alert, AlertStatus
from receiver.core.fingerprints import fingerprint_of
from receiver.core.policy_set import PolicySet

APART = timedelta(hours=6)
"""Firings of a model closer together than this are one spell: a run that helps ends all of it."""


@dataclass(frozen=True, slots=True)
class TrueAlert:
    """One alert of a model: its labels, and its firings within one spell."""

    fingerprint: str
    labels: Mapping[str, str]
    firings: tuple[Firing, ...]


@dataclass(frozen=True, slots=True)
class Spell:
    """A model is bad, with short rests perhaps, until this ends by itself or a run helps.

    Attributes:
        bad: When any of its alerts fires, if no run helps.
        curable_from: Runs that begin before can't help, such as before the labels are there.
        curable: Whether a run can help at all: not where the data are broken.

    """

    model: str
    number: int
    alerts: tuple[TrueAlert, ...]
    bad: tuple[Firing, ...]
    curable_from: datetime | None = None
    curable: bool = True

    @property
    def began(self) -> datetime:
        """When its first alert begins."""
        return self.bad[0].began


@dataclass(frozen=True, slots=True)
class Truth:
    """What would be if nobody did anything.

    Attributes:
        spells: Of each model, in order.
        policies: The policy of each model: of several the first that names it.

    """

    since: datetime
    until: datetime
    spells: Mapping[str, tuple[Spell, ...]] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)

    @property
    def span(self) -> timedelta:
        """How long it is."""
        return self.until - self.since

    @property
    def bad_hours(self) -> float:
        """Hours in which models would be bad if nobody did anything."""
        return sum(
            ((one.ended or self.until) - one.began).total_seconds() / 3600
            for spells in self.spells.values()
            for spell in spells
            for one in spell.bad
        )


def truth_of(
    history: History, policy_set: PolicySet, apart: timedelta = APART
) -> tuple[Truth, tuple[str, ...]]:
    """When each model of the policies was bad, and what a reader must know about it.

    Raises `BadHistory` if the policies know none of the alerts.
    """
    models: dict[str, list[tuple[str, Mapping[str, str], tuple[Firing, ...]]]] = {}
    policies: dict[str, str] = {}
    unmatched: list[str] = []
    nameless: list[str] = []
    for alert in history.alerts:
        matched = policy_set.match(_probe(alert.labels))
        if matched.identity is not None and matched.policy is not None:
            policies.setdefault(matched.identity.model, matched.policy.name)
            entry = (fingerprint_of(alert.labels), alert.labels, alert.firings)
            models.setdefault(matched.identity.model, []).append(entry)
        elif matched.policy is None:
            unmatched.append(alert.labels.get("alertname", ""))
        else:
            nameless.append(str(matched.problem))
    if not models:
        raise BadHistory(_nothing(unmatched, nameless))
    notes = []
    if unmatched:
        notes.append(f"{len(unmatched)} alerts match no policy: {shown_names(unmatched)}")
    if nameless:
        notes.append(f"{len(nameless)} alerts name no model: {nameless[0]}")
    spells = {
        name: _spells(name, sorted(alerts), apart) for name, alerts in sorted(models.items())
    }
    return Truth(history.since, history.until, spells, policies), tuple(notes)


def require_same_models(truth: Truth, policy_set: PolicySet) -> None:
    """Raise `BadHistory` if these policies would name one of the models otherwise.

    What is compared must be about the same models; alerts that they don't match are no runs.
    """
    for model, spells in truth.spells.items():
        for alert in {one.fingerprint: one for spell in spells for one in spell.alerts}.values():
            identity = policy_set.match(_probe(alert.labels)).identity
            if identity is not None and identity.model != model:
                raise BadHistory(
                    f"it names the model {identity.model} where the first names {model}; "
                    "compare policies that name their models alike, or backtest each by itself"
                )


def _nothing(unmatched: Sequence[str], nameless: Sequence[str]) -> str:
    if nameless:
        return (
            f"no alert names a model: {nameless[0]}; let the rule keep that label (`by (…)`), or "
            "name the model by labels that the alerts have (`model.labels`)"
        )
    return (
        f"none of its alerts matches a policy: they are {shown_names(unmatched)}; mend `match`, "
        "or choose others with --matching"
    )


def _probe(labels: Mapping[str, str]) -> Alert:
    return Alert(AlertStatus.FIRING, labels, None, None, "", None, 0)


def _spells(
    model: str,
    alerts: Sequence[tuple[str, Mapping[str, str], tuple[Firing, ...]]],
    apart: timedelta,
) -> tuple[Spell, ...]:
    bad = merged(firing for _, _, firings in alerts for firing in firings)
    groups: list[list[Firing]] = []
    for firing in bad:
        last = groups[-1][-1].ended if groups else None
        if last is None or firing.began - last >= apart:
            groups.append([firing])
        else:
            groups[-1].append(firing)
    result = []
    for number, group in enumerate(groups):
        first, last = group[0].began, group[-1].ended
        own = []
        for fingerprint, labels, firings in alerts:
            within = tuple(
                one for one in firings if first <= one.began and (last is None or one.began < last)
            )
            if within:
                own.append(TrueAlert(fingerprint, labels, within))
        result.append(Spell(model, number, tuple(own), tuple(group)))
    return tuple(result)
