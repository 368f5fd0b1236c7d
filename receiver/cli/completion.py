"""The command `completion`: prints what makes a shell complete our commands and options."""

import os
from enum import StrEnum
from typing import Annotated

import typer

from receiver.cli.epilog import examples

PROGRAM = "retrain-receiver"
VARIABLE = "_RETRAIN_RECEIVER_COMPLETE"
"""How a shell's script asks us what could come next."""

COMPLETION_EXAMPLES = examples(
    "retrain-receiver completion bash > ~/.local/share/bash-completion/completions/"
    "retrain-receiver",
    "retrain-receiver completion zsh > ~/.zfunc/_retrain-receiver",
    "retrain-receiver completion fish > ~/.config/fish/completions/retrain-receiver.fish",
)


class Shell(StrEnum):
    """A shell that can be taught."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish")]) -> None:
    """Print a script that lets the shell complete commands and options."""
    from typer._completion_shared import get_completion_script  # noqa: PLC0415

    script = get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell.value)
    typer.echo(script)


def prepare() -> None:
    """Answer a shell that asks; a plain call need not load what that takes."""
    if VARIABLE in os.environ:
        from typer import completion as typers  # noqa: PLC0415

        typers.completion_init()  # type: ignore[attr-defined]  # used by typer itself alike
