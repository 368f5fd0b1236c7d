"""Whole chains on disk, of which a test writes the one file that it is about."""

from pathlib import Path

from receiver.lint.findings import Finding
from receiver.lint.gathering import Sources, gather
from receiver.lint.linting import lint

RECEIVER = """\
targets:
  retrain:
    kfp:
      endpoint: http://ml-pipeline:8888
      pipeline: retrain
      parameters: {user_id: "{user_id}", drift_score: "{value}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: retrain
"""

ALERTMANAGER = """\
route:
  receiver: retrain
  group_by: [alertname, user_id]
receivers:
  - name: nobody
  - name: retrain
    webhook_configs:
      - url: http://retrain-receiver:8080/webhook
"""

RULES = """\
groups:
  - name: models
    rules:
      - alert: HighModelMAE
        expr: max by (user_id) (model_mae_score) > 0.45
        labels: {severity: warning}
        annotations: {value: "{{ $value }}"}
      - alert: LowModelR2
        expr: min by (user_id) (model_r2_score) < 0.75
        labels: {severity: warning}
        annotations: {value: "{{ $value }}"}
"""

GITHUB = RECEIVER.replace(
    """\
    kfp:
      endpoint: http://ml-pipeline:8888
      pipeline: retrain
      parameters:""",
    """\
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      token_file: token
      inputs:""",
)

PIPELINE = RECEIVER.replace("pipeline: retrain", "pipeline: pipeline.yaml")

WORKFLOW = """\
run-name: retrain ${{ inputs.user_id }} [${{ inputs.dispatch_id }}]
on:
  workflow_dispatch:
    inputs:
      dispatch_id: {type: string, required: true}
      user_id: {type: string, required: true}
      drift_score: {type: string}
jobs: {}
"""

WORLD = {"receiver.yaml": RECEIVER, "alertmanager.yml": ALERTMANAGER, "rules.yml": RULES}


def linted(folder: Path, files: dict[str, str], **given: object) -> list[Finding]:
    """What is found in a world that has nothing wrong but what these files say."""
    ours = {"retrain-model.yaml": GITHUB, "pipeline.yaml": PIPELINE}
    receiver = next((ours[name] for name in files if name in ours), RECEIVER)
    world = {**WORLD, "receiver.yaml": receiver, "token": "a-long-secret", **files}
    written = {name: text for name, text in world.items() if text}
    for name, text in written.items():
        (folder / name).write_text(text)
    sources = Sources(
        config=folder / "receiver.yaml",
        alertmanager=folder / "alertmanager.yml" if "alertmanager.yml" in written else None,
        prometheus=folder / "prometheus.yml" if "prometheus.yml" in written else None,
        rules=[str(folder / "rules.yml")] if "rules.yml" in written else (),
        workflows=[folder / "retrain-model.yaml"] if "retrain-model.yaml" in written else (),
    )
    for name, value in given.items():
        object.__setattr__(sources, name, value)
    chain = gather(sources)
    return chain if isinstance(chain, list) else lint(chain)


def told(findings: list[Finding]) -> list[tuple[str, int | None, str]]:
    """Check, line and sentence of each."""
    return [(str(each.check), each.place.line, each.said) for each in findings]
