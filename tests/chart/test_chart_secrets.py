"""A Secret that changes is taken up by the running pod, from files as the kubelet changes them."""

import shutil
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from tests.chart.rendering import Object, rendered
from tests.chart.test_chart_config import laid_out, secret, started
from tests.peers.github import GithubPeer
from tests.posts import entry, post
from tests.processes import now
from tests.serving import Peer
from tests.waiting import eventually

VALUES = """
auth: {existingSecret: tokens}
github: {existingSecret: github}
config:
  targets:
    retrain: {github: {repository: acme/models, workflow: retrain-model.yaml, base_url: "BASE_URL",
      inputs: {user_id: "{user_id}"}}}
  policies:
    - name: model-quality
      match: ['alertname="HighModelMAE"']
      model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
      target: retrain
"""
WEBHOOK, GITHUB = "secrets/auth/webhook", "secrets/github/token"


class Volume:
    """A projected volume as the kubelet writes it (pkg/volume/util/atomic_writer.go).

    What is seen are links below `..data`, itself a link, which one rename leads to a new folder.
    """

    def __init__(self, folder: Path) -> None:
        files = {
            str(path.relative_to(folder)): path.read_text()
            for path in folder.rglob("*")
            if path.is_file()
        }
        shutil.rmtree(folder)
        folder.mkdir()
        self._folder, self._files, self._numbers = folder, files, count()
        self.update({})

    def update(self, changed: Mapping[str, str]) -> None:
        """Let some files hold something else, all at one moment."""
        self._files |= changed
        made = self._folder / f"..2026_11_30_12_00_00.{next(self._numbers)}"
        for name, text in self._files.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_text(text)
        data = self._folder / "..data"
        before = data.resolve() if data.exists() else None
        (self._folder / "..data_tmp").symlink_to(made.name)
        (self._folder / "..data_tmp").rename(data)
        for top in {name.partition("/")[0] for name in self._files}:
            if not (self._folder / top).is_symlink():
                (self._folder / top).symlink_to(f"..data/{top}")
        if before is not None:
            shutil.rmtree(before)


def installed(base_url: str, root: Path) -> tuple[tuple[Object, ...], Path, Volume]:
    objects = rendered("helm4", values=VALUES.replace("BASE_URL", base_url))
    file = laid_out(objects, root)
    return objects, file, Volume(file.parent)


def told(receiver: Peer, model: str, token: str) -> int:
    """How a notification about a model is answered."""
    body = post(entry(model, starts_at=now()))
    return receiver.post("/webhook", body, token=token).status


def models_started(github: GithubPeer) -> list[str]:
    return [run.inputs["user_id"] for run in github.runs]


def test_a_secret_that_changes_is_in_force_without_a_restart(tmp_path):
    """The webhook's token and GitHub's, in one process; the old webhook token is refused."""
    old, fresh = secret(WEBHOOK), "fresh-webhook-token"
    with GithubPeer() as github:
        github.tokens = {secret(GITHUB)}
        objects, file, volume = installed(github.base_url, tmp_path)
        with started(objects, file, tmp_path) as receiver:
            assert told(receiver, "before", old) == 200
            eventually(lambda: models_started(github) == ["before"])
            github.tokens = {"fresh-github-token"}
            volume.update({WEBHOOK: fresh, GITHUB: "fresh-github-token"})

            assert told(receiver, "after", old) == 401
            assert told(receiver, "after", fresh) == 200
            eventually(lambda: models_started(github) == ["before", "after"])
            used = [asked.headers["authorization"] for asked in github.requests("dispatch")]
            assert used[-1] == "token fresh-github-token"


def test_a_secret_that_is_gone_for_a_moment_locks_nobody_out(tmp_path):
    """An empty key, as a controller may write it, leaves the last good token in force."""
    old = secret(WEBHOOK)
    objects, file, volume = installed("http://127.0.0.1:9", tmp_path)
    with started(objects, file, tmp_path) as receiver:
        volume.update({WEBHOOK: ""})
        assert told(receiver, "one", old) == 200
        volume.update({WEBHOOK: "fresh-webhook-token"})

        assert told(receiver, "two", "fresh-webhook-token") == 200
        assert told(receiver, "two", old) == 401
