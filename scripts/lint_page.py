"""Writes docs/lint.md: its beginning, then the page of every check, as `--explain` shows them."""

from pathlib import Path

from receiver.lint.pages import whole_text

PAGE = Path(__file__).parents[1] / "docs" / "lint.md"
CHECKS = "# The checks\n"

if __name__ == "__main__":
    beginning, _, _ = PAGE.read_text().partition(CHECKS)
    PAGE.write_text(f"{beginning}{CHECKS}\n{whole_text()}")
