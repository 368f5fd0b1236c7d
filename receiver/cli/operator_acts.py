"""The commands `retrain`, `pause`, `resume`, `release`, `approve`, `reject` and `forget`."""

import sys
import uuid
from typing import Annotated, Any
from urllib.parse import quote

import typer

from receiver.cli.client import FAILED, ReceiverClient, UsageError
from receiver.cli.epilog import examples
from receiver.cli.options import (
    SERVER,
    Comment,
    Format,
    Key,
    Output,
    ServerUrl,
    TokenFile,
    labels_of,
    peer,
)
from receiver.cli.reports import show_act

RETRAIN_EXAMPLES = examples(
    "retrain-receiver retrain 42 --comment 'new features are in'",
    "retrain-receiver retrain 99 --policy model-quality --label user_id=99 --comment 'first run'",
)
PAUSE_EXAMPLES = examples(
    "retrain-receiver pause 42 --for 4h --comment 'backfill is running'",
    "retrain-receiver pause --policy model-quality --comment 'pipeline is broken'",
    "retrain-receiver pause --everything --for 1h --comment 'cluster upgrade'",
)
RESUME_EXAMPLES = examples(
    "retrain-receiver resume 42 --comment 'backfill is done'",
    "retrain-receiver resume --everything --comment 'upgrade is done'",
)
RELEASE_EXAMPLES = examples(
    "retrain-receiver release --policy model-quality --comment 'the features are right again'",
)
FORGET_EXAMPLES = examples("retrain-receiver forget 42 --comment 'the tenant left'")
APPROVE_EXAMPLES = examples("retrain-receiver approve 42 --comment 'the new data is clean'")
REJECT_EXAMPLES = examples(
    "retrain-receiver reject 42 --comment 'the sensor was broken'",
    "retrain-receiver reject --policy model-quality --comment 'the sensor was broken'",
)

Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", metavar="NAME=VALUE", help="Names a model never seen, with --policy; repeat."
    ),
]
SomeModel = Annotated[str | None, typer.Argument(metavar="MODEL")]
SomePolicy = Annotated[
    str | None,
    typer.Option(
        metavar="POLICY", help="Without MODEL: all models of this policy. With it: see --label."
    ),
]
Everything = Annotated[bool, typer.Option("--everything", help="All there is.")]


def retrain(
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    *,
    comment: Comment,
    policy: Annotated[
        str | None, typer.Option(metavar="POLICY", help="Names a model never seen, with --label.")
    ] = None,
    label: Labels = None,
    idempotency_key: Key = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Order one run now, whatever holds the model.

    Except a run in flight: then nothing is done, and the exit code is 1.
    """
    path = f"/models/{quote(model, safe='')}/retrain"
    body = _body(comment, policy, label)
    decision = _act(peer(server, token_file), path, body, idempotency_key, output)
    if decision["outcome"] != "trigger":
        raise typer.Exit(FAILED)


def pause(
    model: SomeModel = None,
    *,
    comment: Comment,
    length: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="Such as 4h; without it until `resume`."),
    ] = None,
    policy: SomePolicy = None,
    everything: Everything = False,
    label: Labels = None,
    idempotency_key: Key = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Hold back a model, a policy's models or everything.

    What fires meanwhile is not forgotten: it is decided when the pause ends.
    """
    path = _path("pause", model, policy, label, everything=everything)
    body = _body(comment, policy, label) | ({} if length is None else {"for": length})
    _act(peer(server, token_file), path, body, idempotency_key, output)


def resume(
    model: SomeModel = None,
    *,
    comment: Comment,
    policy: SomePolicy = None,
    everything: Everything = False,
    label: Labels = None,
    idempotency_key: Key = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Lift a pause; what still fires is decided at once.

    Models that a storm holds stay held: see `release`.
    """
    path = _path("resume", model, policy, label, everything=everything)
    body = _body(comment, policy, label)
    _act(peer(server, token_file), path, body, idempotency_key, output)


def release(
    *,
    comment: Comment,
    policy: Annotated[
        str | None, typer.Option(metavar="POLICY", help="The policy whose storm holds them.")
    ] = None,
    everything: Everything = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask on a terminal.")] = False,
    idempotency_key: Key = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Let the models go that a storm holds; on a terminal asks with the number of runs.

    Their pauses, cooldowns and budgets hold them as before.
    """
    if policy is None and not everything:
        raise UsageError("say what to release: --policy POLICY or --everything")
    path = _path("release", None, policy, None, everything=everything)
    body, receiver = _body(comment, policy, None), peer(server, token_file)
    if not yes and sys.stdin.isatty() and sys.stdout.isatty():
        typer.confirm(_runs_of_storms(receiver, policy), abort=True)
    _act(receiver, path, body, idempotency_key, output)


def _runs_of_storms(receiver: ReceiverClient, policy: str | None) -> str:
    """The question before a release, with what it may order."""
    groups = receiver.get("/models", {"limit": "1"})["groups"]
    storms = [
        one for one in groups if one["orders"] is not None and policy in (None, one["policy"])
    ]
    held, runs = sum(one["count"] for one in storms), sum(one["orders"] for one in storms)
    return f"Release {held} models that storms hold? That orders up to {runs} runs."


def approve(
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    *,
    comment: Comment,
    idempotency_key: Key = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Say yes to what a rung asks about a model: it gets one run.

    `explain MODEL` shows what is asked. What else holds the model still does.
    """
    path = _path("approve", model, None, None, everything=False)
    _act(peer(server, token_file), path, _body(comment, None, None), idempotency_key, output)


def reject(
    model: SomeModel = None,
    *,
    comment: Comment,
    policy: Annotated[
        str | None,
        typer.Option(metavar="POLICY", help="In place of MODEL: all that its rungs ask."),
    ] = None,
    idempotency_key: Key = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Say no to what a rung asks: no run until its alerts have ended.

    `approve` or `retrain` change that.
    """
    if (model is None) == (policy is None):
        raise UsageError("say what to reject: MODEL, or --policy POLICY for all that is asked")
    path = _path("reject", model, policy, None, everything=False)
    _act(peer(server, token_file), path, _body(comment, policy, None), idempotency_key, output)


def forget(
    model: Annotated[str, typer.Argument(metavar="MODEL")],
    *,
    comment: Comment,
    idempotency_key: Key = None,
    output: Output = Format.TABLE,
    server: ServerUrl = SERVER,
    token_file: TokenFile = None,
) -> None:
    """Forget a model that is no more: it leaves every list; the log keeps its story.

    Not while an alert of it fires or a run goes on. Its pause and cooldown go with it.
    """
    path = _path("forget", model, None, None, everything=False)
    _act(peer(server, token_file), path, _body(comment, None, None), idempotency_key, output)


def key_or_new(key: str | None) -> str:
    """The operator's key, or one that no other command uses."""
    return str(uuid.uuid4()) if key is None else key


def _act(
    receiver: ReceiverClient, path: str, body: dict[str, Any], key: str | None, output: Format
) -> dict[str, Any]:
    """Post an act, show the decision that it left, and return it."""
    decision: dict[str, Any] = receiver.act(path, body, key_or_new(key))
    show_act(decision, output)
    return decision


def _path(
    act: str, model: str | None, policy: str | None, label: list[str] | None, *, everything: bool
) -> str:
    if everything and (model is not None or policy is not None or label):
        raise UsageError("--everything stands alone: no MODEL, --policy or --label")
    if model is not None:
        return f"/models/{quote(model, safe='')}/{act}"
    if label:
        raise UsageError("--label names a model: give MODEL too")
    if policy is None and not everything:
        raise UsageError(f"say what to {act}: MODEL, --policy POLICY or --everything")
    return f"/{act}"


def _body(comment: str, policy: str | None, label: list[str] | None) -> dict[str, Any]:
    body: dict[str, Any] = {"comment": comment}
    if policy is not None:
        body["policy"] = policy
    if label:
        body["labels"] = labels_of(label)
    return body
