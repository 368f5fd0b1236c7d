"""The shapes of targets: whether each answers, what waits for it, what would cure it."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from typing_extensions import TypedDict

from receiver.core.target_health import TargetState
from receiver.core.targets import TargetKind
from receiver.web.shapes.describing import About, Count, Moment, Words


class TargetJson(TypedDict):
    """A target, and what waits for it."""

    name: str
    kind: Annotated[str, Words(TargetKind)]
    place: Annotated[Mapping[str, str], About("Where runs are started, as in the file.")]
    policies: Annotated[Sequence[str], About("Those that start runs there.")]
    state: Annotated[
        Annotated[str, Words(TargetState)],
        About(
            "`ok`: it answered when it was last asked; `failing`: it did not; `unknown`: it was "
            "not asked yet, or nothing waits for it since it failed."
        ),
    ]
    failing_since: Annotated[Moment | None, About("Null unless it is failing.")]
    failed_at: Annotated[Moment | None, About("When it failed last.")]
    answered_at: Annotated[
        Moment | None, About("When it was first seen to answer since it failed last.")
    ]
    error: Annotated[
        str | None, About("What was said when it failed last; null since it answers.")
    ]
    cure: Annotated[str | None, About("What would help; null unless it is failing.")]
    waiting: Annotated[Count, About("Models whose dispatch is tried again.")]
    models: Annotated[
        Sequence[str], About("The names of these, the longest wait first; 100 at most.")
    ]
    in_flight: Annotated[Count, About("Dispatches on their way there, or whose run goes on.")]
    retry_at: Annotated[Moment | None, About("When the first that waits is tried again.")]
    credential: Annotated[
        str | None, About("What is wrong with its credential; null if nothing is known to be.")
    ]


class TargetsJson(TypedDict):
    """The targets, in the order of the file; then those that only dispatches name."""

    targets: Sequence[TargetJson]
