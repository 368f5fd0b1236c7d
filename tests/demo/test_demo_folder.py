import fcntl
import sys
from pathlib import Path

import pytest
import yaml

from receiver.config import load_config
from receiver.demo import workspace
from receiver.demo.asking import DemoError
from receiver.demo.evaluation import MAE_LIMIT, R2_LIMIT


def test_a_folder_of_somebody_else_is_never_emptied(tmp_path):
    """The demo refuses a folder that it did not make."""
    (tmp_path / "thesis.tex").write_text("years of work")

    with pytest.raises(DemoError, match="no demo made"), workspace.own_folder(tmp_path):
        pytest.fail("the folder was taken")

    assert (tmp_path / "thesis.tex").exists()


def test_an_earlier_demo_leaves_nothing_behind(tmp_path):
    """Each demo begins anew: an old database would hold the model in its cooldown."""
    with workspace.own_folder(tmp_path / "demo"):
        (tmp_path / "demo" / "receiver.db").write_text("old")
        (tmp_path / "demo" / "logs").mkdir()
        (tmp_path / "demo" / "elsewhere").symlink_to(tmp_path)

    with workspace.own_folder(tmp_path / "demo"):
        assert [left.name for left in (tmp_path / "demo").iterdir()] == [workspace.MARK]
    assert tmp_path.exists()


def test_two_demos_do_not_share_a_folder(tmp_path):
    """The second one says so instead of pulling the ground from under the first."""
    with (
        workspace.own_folder(tmp_path),
        pytest.raises(DemoError, match="another demo"),
        workspace.own_folder(tmp_path),
    ):
        pytest.fail("the folder was shared")


def test_a_killed_demo_does_not_lock_its_folder(tmp_path):
    """The lock ends with the process that held it."""
    with (tmp_path / workspace.MARK).open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
    with workspace.own_folder(tmp_path):
        assert (tmp_path / workspace.MARK).exists()


def test_the_receiver_understands_its_configuration(tmp_path):
    """The demo's file is valid, short, and braces in a path are no template."""
    folder = tmp_path / "a {user_id} b"
    folder.mkdir()
    config = workspace.write_receiver(folder, Path(sys.executable))

    loaded = load_config(config)

    inputs = loaded.targets["retrain-pipeline"].target.inputs
    assert inputs["workdir"].format() == str(folder / "data")
    assert len(config.read_text().splitlines()) <= 15


def test_short_times_are_the_only_difference():
    """What the demo shows is decided by the rules that production has."""
    rules = yaml.safe_load(workspace.RULES.read_text())

    [group] = workspace.with_short_times(rules)["groups"]

    for ours, theirs in zip(group["rules"], rules["groups"][0]["rules"], strict=True):
        changed = {key for key in theirs if ours[key] != theirs[key]}
        assert changed == {"for", "keep_firing_for"}


def test_the_demo_and_the_rules_agree_on_the_thresholds():
    """Good and bad mean the same on the screen and in Prometheus."""
    rules = yaml.safe_load(workspace.RULES.read_text())["groups"][0]["rules"]

    limits = {rule["alert"]: rule["expr"].split()[-2:] for rule in rules}

    assert limits == {
        "HighModelMAE": [">", str(MAE_LIMIT)],
        "LowModelR2": ["<", str(R2_LIMIT)],
    }
