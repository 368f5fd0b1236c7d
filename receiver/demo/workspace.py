"""The demo's folder: what every process finds there before it starts."""

import fcntl
import json
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from receiver.demo.asking import DemoError

MARK = "made-by-retrain-receiver-demo"
"""A folder without this file is somebody else's: it is never emptied."""

RULES = Path(__file__).parents[2] / "rules" / "model-quality.yaml"

FOR, KEEP_FIRING_FOR = 5, 5
"""Seconds. Production says 10 and 30 minutes; nobody watches a demo that long."""

RECEIVER = """\
targets:
  retrain-pipeline:
    kfp:
      endpoint: local
      pipeline: retrain.yaml
      python: {python}
      parameters: {{user_id: "{{user_id}}", drift_score: "{{value}}", workdir: {workdir}}}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {{name: "{{user_id}}", labels: {{user_id: "[a-z0-9-]{{1,40}}"}}}}
    target: retrain-pipeline
    cooldown: 10m
    settle: 1m
    dedup_window: 1m
"""

SOURCES = """\
sources:
  confirm_within: 1m
  alertmanagers:
    - {{name: main, url: '{alertmanager}', receiver: retrain-receiver, poll: 5s}}
"""

PROMETHEUS = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [rules.yaml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}
scrape_configs:
  - job_name: model-server
    static_configs: [{{targets: ['127.0.0.1:{model_server}'], labels: {{namespace: demo}}}}]
  - job_name: retrain-receiver
    static_configs: [{{targets: ['127.0.0.1:{receiver}']}}]
"""

ALERTMANAGER = """\
route:
  receiver: retrain-receiver
  group_by: [user_id]
  group_wait: 1s
  group_interval: 5s
  repeat_interval: 4h
receivers:
  - name: retrain-receiver
    webhook_configs: [{{url: 'http://127.0.0.1:{receiver}/webhook', send_resolved: true}}]
"""


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Empty the folder of what an earlier demo left, and keep others out of it."""
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise DemoError(f"{folder} holds something that no demo made; move it away")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / MARK).open("w") as mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(f"another demo runs in {folder}; end it first (Ctrl-C)") from None
        for left in folder.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            elif left.name != MARK:
                left.unlink()
        yield


def pipeline_python() -> Path:
    """Find the interpreter that has kfp and scikit-learn."""
    for home in (Path.cwd(), Path(sys.prefix).parent):
        # Not resolved: behind the link stands an interpreter without the environment.
        python = home / ".venv-kfp" / "bin" / "python"
        if python.exists():
            return python
    raise DemoError("the pipeline's environment is missing; `make demo` prepares it")


def write_receiver(folder: Path, python: Path, alertmanager: str | None = None) -> Path:
    """Write the receiver's configuration and the pipeline beside it.

    It asks this Alertmanager, if there is one, whether alerts still fire.
    """
    pipeline = resources.files("receiver.demo").joinpath("retrain.yaml")
    (folder / "retrain.yaml").write_bytes(pipeline.read_bytes())
    # Braces would be read as a template's; doubled they stand for themselves.
    workdir = json.dumps(str(folder / "data").replace("{", "{{").replace("}", "}}"))
    config = folder / "receiver.yaml"
    sources = SOURCES.format(alertmanager=alertmanager) if alertmanager else ""
    config.write_text(RECEIVER.format(python=json.dumps(str(python)), workdir=workdir) + sources)
    return config


def write_monitoring(folder: Path, *, model_server: int, receiver: int, alertmanager: int) -> None:
    """Write the configurations of Prometheus and Alertmanager, and the rules with short times."""
    (folder / "prometheus.yaml").write_text(
        PROMETHEUS.format(model_server=model_server, receiver=receiver, alertmanager=alertmanager)
    )
    (folder / "alertmanager.yaml").write_text(ALERTMANAGER.format(receiver=receiver))
    rules = with_short_times(yaml.safe_load(RULES.read_text(encoding="utf-8")))
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules, allow_unicode=True, sort_keys=False))


def with_short_times(rules: Any) -> Any:
    """Make the rules impatient; everything else stays as it is in production."""
    short = {"for": f"{FOR}s", "keep_firing_for": f"{KEEP_FIRING_FOR}s"}
    return {
        "groups": [
            {**group, "rules": [{**rule, **short} for rule in group["rules"]]}
            for group in rules["groups"]
        ]
    }


def free_port(wanted: int = 0) -> int:
    """Find a free port: the wanted one if it is."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return int(probe.getsockname()[1])
