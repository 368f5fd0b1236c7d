"""Writes docs/commands.md from the commands themselves, as `--help` tells of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from receiver.cli.commands import app

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"

BEGINNING = """\
# Commands

Made from the commands themselves (`make docs-pages`): `retrain-receiver COMMAND
--help` says the same. What to do with them stands in [operations.md](operations.md#at-night).

"""


def page() -> str:
    """The whole page."""
    group: Any = typer.main.get_command(app)
    commands = sorted(group.commands.items())
    listed = "\n".join(f"- [`{name}`](#{name}): {_first(one.help)}" for name, one in commands)
    said = "\n".join("\n".join(_command(name, one)) for name, one in commands)
    return f"{BEGINNING}{_prose(group.epilog)}\n\n{listed}\n\n{said}"


def _command(name: str, command: Any) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    records = [one.get_help_record(context) for one in command.params if not one.is_eager]
    yield f"## {name}\n"
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"`retrain-receiver {name} {pieces}`\n"
    yield f"{_prose(command.help)}\n"
    if records:
        yield "| option | meaning |"
        yield "| --- | --- |"
        yield from (
            f"| {_cell(f'`{shown}`')} | {_cell(_prose(told))} |"
            for shown, told in filter(None, records)
        )
        yield ""
    examples = _examples(command.epilog or "")
    yield from (f"- `{example}`" for example in examples)
    if examples:
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _first(text: str | None) -> str:
    return _prose((text or "").split("\n\n")[0])


def _prose(text: str | None) -> str:
    """Paragraphs without their line ends; what Markdown would take for a tag is kept as it is."""
    paragraphs = re.split(r"\n\s*\n", (text or "").replace("\b\n", "").strip())
    return "\n\n".join(" ".join(one.split()) for one in paragraphs).replace("<", "&lt;")


def _examples(epilog: str) -> list[str]:
    lines = [line.strip() for line in epilog.replace("\b", "").splitlines()]
    return [line for line in lines if line.startswith("retrain-receiver")]


if __name__ == "__main__":
    PAGE.write_text(page())
