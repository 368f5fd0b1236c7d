"""The workflow or pipeline is held against the target that starts it."""

import pytest

from tests.lint.worlds import GITHUB, PIPELINE, RULES, WORKFLOW, linted


def checks(found):
    return [f"{each.check} {each.severity}" for each in found]


def workflow(*changes):
    text = WORKFLOW
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


WHERE = """\
concurrency: {group: x, cancel-in-progress: "${{ github.event_name EVENT }}"}
"""
INPUT = "      user_id: {type: string, required: true}"
ON = "on:\n  workflow_dispatch:\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (WORKFLOW, []),
        # Triggers in each of their forms.
        ("on: push", ["workflow-not-dispatched error"]),
        ("on: [push, pull_request]", ["workflow-not-dispatched error"]),
        ("on: {push: {}}", ["workflow-not-dispatched error"]),
        ("{}", ["workflow-not-dispatched error"]),
        (
            "on: workflow_dispatch\nrun-name: '${{ inputs.dispatch_id }}'",
            ["workflow-input-undeclared error"],
        ),
        (
            "on: {workflow_dispatch: }\nrun-name: '${{ inputs.dispatch_id }}'",
            ["workflow-input-undeclared error"],
        ),
        # Inputs.
        (workflow(("drift_score", "score")), ["workflow-input-undeclared error"]),
        (
            workflow((INPUT, INPUT + "\n      x: {required: true}")),
            ["workflow-input-required error"],
        ),
        (workflow((INPUT, INPUT + "\n      x: {required: false}")), []),
        (workflow((INPUT, INPUT + "\n      x: {required: true, default: a}")), []),
        (
            workflow(("drift_score: {type: string}", "drift_score: {required: true}")),
            ["workflow-input-required warning"],
        ),
        (
            workflow(
                ("drift_score: {type: string}", "drift_score: {required: true, default: ''}")
            ),
            [],
        ),
        (
            workflow(("user_id: {type: string", "user_id: {type: boolean")),
            ["workflow-input-type warning"],
        ),
        (
            workflow(("user_id: {type: string", "user_id: {type: choice, options: [A, B]")),
            ["workflow-input-type error"],
        ),
        (
            workflow(("user_id: {type: string", "user_id: {type: choice, options: [a, B]")),
            ["workflow-input-type warning"],
        ),
        # The name, in each spelling.
        (workflow(("run-name", "name")), ["workflow-run-name error"]),
        (workflow((" [${{ inputs.dispatch_id }}]", "")), ["workflow-run-name error"]),
        (workflow(("inputs.dispatch_id", "github.event.inputs.dispatch_id")), []),
        (workflow(("inputs.dispatch_id", "inputs['dispatch_id']")), []),
        # Concurrency.
        (WORKFLOW + "concurrency: retrain", ["workflow-cancels warning"]),
        (WORKFLOW + "concurrency: {group: retrain}", ["workflow-cancels warning"]),
        (WORKFLOW + "concurrency: {group: 'r-${{ inputs.user_id }}'}", []),
        (
            WORKFLOW + "concurrency: {group: 'r-${{ github.run_id }}', cancel-in-progress: true}",
            [],
        ),
        (
            WORKFLOW
            + "concurrency: {group: 'r-${{ inputs.dispatch_id }}', cancel-in-progress: true}",
            [],
        ),
        (
            WORKFLOW + "concurrency: {group: 'r-${{ inputs.user_id }}', cancel-in-progress: true}",
            ["workflow-cancels warning"],
        ),
        (
            WORKFLOW + "concurrency: {group: '${{ github.ref }}', cancel-in-progress: true}",
            ["workflow-cancels error"],
        ),
        # A condition that never holds in a run of ours cancels nothing.
        (
            WORKFLOW + WHERE.replace("EVENT", "== 'push'"),
            ["workflow-cancels warning"],
        ),
        (
            WORKFLOW + WHERE.replace("EVENT", "!= 'push'"),
            ["workflow-cancels error"],
        ),
        (
            WORKFLOW.replace("jobs: {}", "jobs: {a: {concurrency: gpu}}"),
            ["workflow-cancels warning"],
        ),
    ],
)
def test_workflows(text, found, tmp_path):
    """Triggers, inputs, name and concurrency."""
    assert checks(linted(tmp_path, {"retrain-model.yaml": text})) == found


@pytest.mark.parametrize(
    ("number", "base_url", "found"),
    [
        (25, "", []),
        (26, "", ["workflow-too-many-inputs error"]),
        (10, "https://ghe.example.com/api/v3", []),
        (11, "https://ghe.example.com/api/v3", ["workflow-too-many-inputs warning"]),
    ],
)
def test_how_many_inputs(number, base_url, found, tmp_path):
    """GitHub takes 25, an older server 10."""
    more = "".join(f"      x{n}: {{type: string}}\n" for n in range(number - 3))
    config = (
        GITHUB.replace("token_file", f"base_url: {base_url}\n      token_file")
        if base_url
        else GITHUB
    )
    files = {"retrain-model.yaml": workflow(("jobs:", more + "jobs:")), "receiver.yaml": config}

    assert checks(linted(tmp_path, files)) == found


def test_a_required_number_that_no_rule_gives(tmp_path):
    """That is no matter of luck."""
    text = workflow(("drift_score: {type: string}", "drift_score: {required: true}"))
    rules = RULES.replace('        annotations: {value: "{{ $value }}"}\n', "")
    found = linted(tmp_path, {"retrain-model.yaml": text, "rules.yml": rules})

    (about,) = [each for each in found if each.check == "workflow-input-required"]
    assert about.severity == "error"
    assert "HighModelMAE and LowModelR2 have no value" in about.said


SPEC = """\
root:
  inputDefinitions:
    parameters:
      user_id: {parameterType: STRING}
      drift_score: {parameterType: NUMBER_DOUBLE, isOptional: true}
  dag:
    tasks:
      train:
        cachingOptions: {}
        componentRef: {name: comp-train}
        inputs: {parameters: {user_id: {componentInputParameter: user_id}}}
      deploy:
        cachingOptions: {enableCache: true}
        componentRef: {name: comp-deploy}
        inputs: {artifacts: {model: {taskOutputArtifact: {producerTask: train}}}}
components: {comp-train: {executorLabel: x}, comp-deploy: {executorLabel: y}}
"""

NESTED = """\
root:
  inputDefinitions: {parameters: {user_id: {}, drift_score: {defaultValue: 0}, dispatch_id: {}}}
  dag:
    tasks:
      loop:
        componentRef: {name: comp-loop}
        inputs: {parameters: {id: {componentInputParameter: SOURCE}}}
components:
  comp-loop:
    dag:
      tasks:
        train:
          cachingOptions: {enableCache: true}
          componentRef: {name: comp-train}
          inputs: {parameters: {id: {componentInputParameter: id}}}
  comp-train: {executorLabel: x}
"""


def spec(*changes):
    text = SPEC
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SPEC, []),
        (SPEC + "---\nplatforms: {kubernetes: {}}\n", []),
        ("pipelineSpec: {}", ["unreadable error"]),
        (spec(("drift_score:", "score:")), ["pipeline-parameter-undeclared error"]),
        (
            spec(("drift_score:", "x: {}\n      drift_score:")),
            ["pipeline-parameter-needed error"],
        ),
        (spec(("isOptional: true", "isOptional: false")), ["pipeline-parameter-needed warning"]),
        (spec(("NUMBER_DOUBLE", "NUMBER_INTEGER")), ["pipeline-parameter-type warning"]),
        (spec(("NUMBER_DOUBLE", "BOOLEAN")), ["pipeline-parameter-type error"]),
        (spec(("NUMBER_DOUBLE", "STRING")), []),
        (spec(("STRING", "NUMBER_INTEGER")), ["pipeline-parameter-type warning"]),
        # A task behind one that runs each time has something new, one before it has not.
        (
            spec(("cachingOptions: {}", "cachingOptions: {enableCache: true}")),
            ["pipeline-cache warning"],
        ),
        (NESTED.replace("SOURCE", "dispatch_id"), []),
        (NESTED.replace("SOURCE", "user_id"), ["pipeline-cache warning"]),
    ],
)
def test_pipelines(text, found, tmp_path):
    """Parameters and cache; our own file names the package, so it needs no option."""
    assert checks(linted(tmp_path, {"pipeline.yaml": text})) == found


@pytest.mark.parametrize(
    ("given", "kind", "found"),
    [
        ('"{alertname}"', "NUMBER_DOUBLE", ["pipeline-parameter-type error"]),
        ('"7"', "NUMBER_INTEGER", []),
        ('"7.5"', "NUMBER_INTEGER", ["pipeline-parameter-type error"]),
        ('"true"', "BOOLEAN", []),
        ('"yes"', "BOOLEAN", ["pipeline-parameter-type error"]),
        ('"x"', "NUMBER_DOUBLE", ["pipeline-parameter-type error"]),
        ('"x"', "STRUCT", ["pipeline-parameter-type error"]),
    ],
)
def test_what_is_given(given, kind, found, tmp_path):
    """A text of one's own fits, or never does."""
    config = PIPELINE.replace('drift_score: "{value}"', f"drift_score: {given}")
    files = {"pipeline.yaml": spec(("NUMBER_DOUBLE", kind)), "receiver.yaml": config}

    assert checks(linted(tmp_path, files)) == found


def test_digits_are_a_number(tmp_path):
    """A label whose pattern lets nothing else through may be one."""
    config = PIPELINE.replace("[a-z0-9-]{1,40}", "[0-9]{1,4}")
    files = {"pipeline.yaml": spec(("STRING", "NUMBER_INTEGER")), "receiver.yaml": config}

    assert checks(linted(tmp_path, files)) == []


@pytest.mark.parametrize(
    ("sent", "cure"),
    [
        ("yes", "send one of them, or write type: string in retrain-model.yaml"),
        ("{user_id}", "write type: string"),
    ],
)
def test_what_is_sent_as_it_stands_can_be_sent_otherwise(sent, cure, tmp_path):
    """The workflow may be right, and our file wrong."""
    config = GITHUB.replace("inputs: {", f'inputs: {{force: "{sent}", ')
    text = workflow((INPUT, INPUT + "\n      force: {type: boolean}"))
    found = linted(tmp_path, {"receiver.yaml": config, "retrain-model.yaml": text})

    assert [(each.check, each.cure) for each in found] == [("workflow-input-type", cure)]
