"""The receiver's files of docs/proxy-sso.md are valid."""

import re

import pytest

from receiver.config import load_config
from tests.processes import ROOT

TEXT = (ROOT / "docs" / "proxy-sso.md").read_text()
FILES = re.findall(r"```yaml\n# receiver.yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("text", FILES)
def test_a_file_is_valid(tmp_path, text):
    """Whoever copies it may begin to serve."""
    for name in re.findall(r"token_file: (\S+?)}", text):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a-token-of-a-test")
    file = tmp_path / "receiver.yaml"
    file.write_text(text)

    assert load_config(file).proxy is not None


def test_there_are_examples():
    """One for each way of telling the groups."""
    assert len(FILES) == 3
