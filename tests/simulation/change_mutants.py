"""Bugs put back on purpose in what outlives a change: of names, addresses, tokens, the clock."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.core.policy_set import PolicySet
from receiver.dispatchers.at_address import AtItsAddress
from receiver.flows.operator import reloading
from receiver.flows.worker.loops import Setup, Worker
from receiver.store.column_types import to_micros
from receiver.store.tables import decisions
from receiver.store.views.decisions import DecisionReads
from receiver.web import token_files
from receiver.web.auth import ANYONE, Caller, Tokens
from tests.simulation.parts import Parts
from tests.simulation.plans import HOUR, Plan, calm

Patch = pytest.MonkeyPatch


def of_a_clock_ahead(seed: int) -> Plan:
    """The clock is ahead now and then, and is set back."""
    return calm(seed, models=4, ends=8 * HOUR, aheads=4, sources=0)


def since_by_ids(patch: Patch) -> Parts:
    """The log's `since` takes an id for its decision's time."""
    return _bounded(patch, since_by_id=True)


def until_by_ids(patch: Patch) -> Parts:
    """The log's `until` takes an id for its decision's time."""
    return _bounded(patch, since_by_id=False)


def _bounded(patch: Patch, *, since_by_id: bool) -> Parts:
    real = DecisionReads._between

    def between(
        reads: DecisionReads, since: datetime | None, until: datetime | None, before: int | None
    ) -> Any:
        ids, d = [], decisions.c
        if since is not None and since_by_id:
            ids, since = [d.id >= to_micros(since)], None
        if until is not None and not since_by_id:
            ids, until = [d.id < to_micros(until)], None
        return [*ids, *real(reads, since, until, before)]

    patch.setattr(DecisionReads, "_between", between)
    return Parts()


def of_renames(seed: int) -> Plan:
    """Operators pause and resume while policies get other names."""
    return calm(seed, acts=60, reloads=60, sources=0)


def rename_forgets_pause(patch: Patch) -> Parts:
    """A pause stays with the name that its policy had."""
    patch.setattr(reloading, "_carry_pauses", lambda *_: ())
    return Parts()


def credential_moves_along(patch: Patch) -> Parts:
    """A target's dispatches are asked about where they went, with the credential it has now."""
    patch.setattr(PolicySet, "moved", lambda *_: None)
    patch.setattr(AtItsAddress, "_at", lambda dispatcher, _dispatch: dispatcher._own)
    return Parts()


def credential_stays_behind(patch: Patch) -> Parts:
    """After a reload a target is asked at its new address with the credential it had."""
    real = Worker.change

    def change(worker: Worker, setup: Setup) -> None:
        real(worker, replace(setup, dispatchers=worker._setup.dispatchers))

    patch.setattr(Worker, "change", change)
    patch.setattr(AtItsAddress, "_at", lambda dispatcher, _dispatch: dispatcher._own)
    return Parts()


def empty_file_opens(patch: Patch) -> Parts:
    """Without a token that can be read there is none to ask for."""
    real = Tokens.caller

    def caller(tokens: Tokens, authorization: str | None, *wanted: Any) -> Caller:
        files = tokens.files
        is_open = files is not None and all(files.none_usable(role) for role in wanted)
        return ANYONE if is_open else real(tokens, authorization, *wanted)

    patch.setattr(Tokens, "caller", caller)
    return Parts()


def empty_file_overwrites(patch: Patch) -> Parts:
    """What an empty file holds is a token like any other."""
    patch.setattr(token_files, "read_secret", Path.read_text)
    return Parts()
