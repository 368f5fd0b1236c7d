"""Leads links of docs/ that leave the folder to the repository, when the site is built."""

import re
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any

REPOSITORY = "https://github.com/retrain-receiver/retrain-receiver/blob/main"
LINK = re.compile(r"(?P<before>\]\()(?P<path>\.\./[^)#\s]*)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite what leads to a file that is no page; on GitHub the same link is relative."""
    folder = PurePosixPath("docs", page.file.src_uri).parent
    return LINK.sub(lambda found: found["before"] + _target(folder, found["path"]), markdown)


def _target(folder: PurePosixPath, path: str) -> str:
    there = normpath(str(folder / path))
    return path if there.startswith("docs/") else f"{REPOSITORY}/{there}"
