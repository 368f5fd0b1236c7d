"""A command that a page names, run or not, is there, with the options that it is given."""

import re
import shlex

import pytest
import typer

from receiver.cli.commands import app
from tests.command_blocks import blocks, pages
from tests.processes import ROOT

COMMANDS = typer.main.get_command(app).commands
COMMON = {"-h", "--help", "--version"}


def named(page):
    """What follows `retrain-receiver` in code of sentences and in blocks of commands."""
    text = page.read_text()
    yield from re.findall(r"`retrain-receiver ([^`\n]+)`", text)
    for block in blocks(page):
        for line in block.text.replace("\\\n", " ").splitlines():
            if ("$ " in line[:2] or "docker" in line or "kubectl" in line) and " -t " not in line:
                found = re.search(r"\bretrain-receiver ([a-z][^|>;&]*)", line)
                if found:
                    yield found[1]


def unknown(said):
    """What no command knows of this."""
    name, *words = shlex.split(said.replace("\\|", "|"), comments=True)
    if name.startswith("-"):
        return {name} - COMMON
    if name not in COMMANDS:
        return {name}
    options = {opt for one in COMMANDS[name].params for opt in (*one.opts, *one.secondary_opts)}
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return given - options - COMMON


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_is_there(page):
    """A renamed command or option is renamed in the pages too."""
    assert {said: unknown(said) for said in named(page) if unknown(said)} == {}


def test_what_is_not_there_is_told():
    """Both a command and an option."""
    assert unknown("modles --state attention") == {"modles"}
    assert unknown("models --sate attention -o csv") == {"--sate"}
    assert not unknown("models --state attention --help")
