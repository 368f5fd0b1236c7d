"""The documentation of every check: `--explain` shows it, docs/lint.md is made of it."""

import re
from dataclasses import dataclass
from importlib import resources

from receiver.lint.findings import CheckId

_HEADING = re.compile(r"^### `([a-z-]+)`\n", re.MULTILINE)
_EXAMPLE = re.compile(r"^(Bad|Good) `([^`]+)`:\n\n```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Example:
    """A whole file that has, or has not, what a check finds.

    Attributes:
        file: Its name: `alertmanager.yml`, `rules.yml`, `receiver.yaml` and so on.

    """

    good: bool
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """What is known of one check."""

    check: CheckId
    text: str

    @property
    def examples(self) -> tuple[Example, ...]:
        """Its files."""
        return tuple(
            Example(word == "Good", file, text) for word, file, text in _EXAMPLE.findall(self.text)
        )

    @property
    def summary(self) -> str:
        """Its first sentence."""
        return self.text.strip().partition("\n\n")[0].replace("\n", " ")


def whole_text() -> str:
    """All pages as one text in Markdown."""
    return resources.files("receiver.lint").joinpath("checks.md").read_text("utf-8")


def pages() -> dict[CheckId, Page]:
    """All of them by id."""
    _, *parts = _HEADING.split(whole_text())
    return {
        CheckId(name): Page(CheckId(name), text.partition("\n## ")[0])
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }
