"""Every command block of README, CONTRIBUTING and docs/ runs, or says why it is not run."""

import os
import shutil

import pytest

from tests.command_blocks import Command, Ran, begins_as_shown, blocks, is_translated, pages, run
from tests.processes import ROOT

# What a translation shows is run on the page that it translates: test_translations.py.
ORIGINALS = [page for page in pages() if not is_translated(page)]
RUN = [page for page in ORIGINALS if any(block.why_not is None for block in blocks(page))]


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_succeed_and_show_what_it_says(tmp_path, page):
    """Pasted in their order into one shell; those that are marked are left out."""
    missing = [program for program in ("bash", "curl", "openssl") if shutil.which(program) is None]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"not run: install {', '.join(missing)}")

    ran = list(run(page, tmp_path))

    wanted = [c for block in blocks(page) if block.why_not is None for c in block.commands]
    assert [one for one in ran if one.code != 0] == []
    assert [one for one in ran if not begins_as_shown(one)] == []
    assert [one.command for one in ran] == wanted


def test_a_reason_is_a_sentence():
    """Who reads why a block is not run can tell whether that still holds."""
    reasons = [(b.place, b.why_not) for page in pages() for b in blocks(page) if b.why_not]

    assert [place for place, why in reasons if len(why.split()) < 4] == []


PAGE = """\
```console
$ cat > a <<'X'
one \\
two
X
$ echo 3 \\
  4
3 4

said
```

<!-- not run: it would be costly to run -->

  ```sh
  make gold
  ```

```yaml
- $ no
```
"""


def test_blocks_are_found_with_their_marks(tmp_path, monkeypatch):
    """Commands that go on over lines are one; other languages are no commands."""
    page = tmp_path / "page.md"
    page.write_text(PAGE)

    first, second = blocks(page)

    assert first.why_not is None
    assert first.commands == [
        Command("cat > a <<'X'\none \\\ntwo\nX", ()),
        Command("echo 3 \\\n  4", ("3 4", "said")),
    ]
    assert second.why_not == "it would be costly to run"
    assert second.commands == [Command("make gold", ())]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("$ echo yes\n$ false\n$ echo never", [0, 1]),
        ("$ sleep 1000 &\n$ kill %1\n$ exit 3", [0, 0, None]),
    ],
)
def test_a_command_that_fails_is_told(tmp_path, text, codes):
    """Nothing after it is run, and what was left in the background is ended."""
    page = tmp_path / "page.md"
    page.write_text(f"```console\n{text}\n```\n")

    assert [one.code for one in run(page, tmp_path)] == codes


def test_what_is_shown_is_compared_up_to_the_first_number():
    """Times and ids differ each time; the words before them don't."""
    command = Command("x", ("model 42 is held ...", "more"))

    assert begins_as_shown(Ran(command, 0, "log\nmodel 43 is free\n"))
    assert not begins_as_shown(Ran(command, 0, "a model 42\n"))
