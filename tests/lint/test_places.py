"""Rules and routes are found wherever people keep them, each with the line where it stands."""

import base64
import os
import subprocess

import pytest

from tests.lint.worlds import ALERTMANAGER, PIPELINE, RULES, linted, told

NAMELESS = RULES.replace("max by (user_id)", "max")


def indented(text, by):
    return "".join(f"{' ' * by}{line}\n" for line in text.splitlines())


def configmap(name, text, kind="ConfigMap", section="data"):
    head = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: x}}\n{section}:\n"
    other = "  README.md: |\n    # no: YAML: at all: [\n"
    return f"{head}{other}  {name}: |\n{indented(text, 4)}"


def checks(found):
    return [(str(each.check), each.place.line, each.place.column) for each in found]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (NAMELESS, 5, 15),
        (configmap("models.yml", NAMELESS), 12, 19),
        (f"spec:\n{indented(NAMELESS, 2)}", 6, 17),
        # Values of a chart that is a part of another, or that takes rules as a list.
        (f"stack:\n  rulesMap:\n    models:\n{indented(NAMELESS, 6)}", 8, 21),
        (f"rules:\n  - name: models\n{indented(NAMELESS, 4)}", 7, 19),
        # A resource of several.
        (f"kind: ConfigMap\n---\nspec:\n{indented(NAMELESS, 2)}", 8, 17),
        (f"kind: List\nitems:\n  - spec:\n{indented(NAMELESS, 6)}", 8, 21),
    ],
)
def test_rules(text, line, column, tmp_path):
    """In files, resources of the operator, ConfigMaps and values of charts."""
    found = linted(tmp_path, {"rules.yml": text})

    assert checks(found) == [("identity-missing", line, column)]
    source = found[0].place.source
    assert source[column - 1 :].startswith("max (model_mae_score)")


def test_what_is_said_twice_by_an_anchor_is_one_rule(tmp_path):
    """Another name for the same list makes no other rules."""
    text = f"rules: &rules\n{indented(NAMELESS, 2)}again: *rules\n"

    assert len(linted(tmp_path, {"rules.yml": text})) == 1


MUTED = ALERTMANAGER.replace("group_by: [alertname, user_id]", "repeat_interval: 9d")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (MUTED, 3),
        (configmap("alertmanager.yml", MUTED), 10),
        (configmap("alertmanager.yaml", MUTED, "Secret", "stringData"), 10),
        (f"kube-prometheus-stack:\n  alertmanager:\n    config:\n{indented(MUTED, 6)}", 6),
        (f"route: {{main: {{enabled: true}}}}\nconfig:\n{indented(MUTED, 2)}", 5),
    ],
)
def test_routes(text, line, tmp_path):
    """In a file, a ConfigMap, a Secret and the values of a chart that is a part of another."""
    found = linted(tmp_path, {"alertmanager.yml": text})

    assert ("expiry-before-repeat", line) in [each[:2] for each in checks(found)]


def test_an_encoded_secret_is_read(tmp_path):
    """What kubectl writes out; its lines are not the file's."""
    encoded = base64.b64encode(MUTED.encode()).decode()
    secret = f"kind: Secret\ndata: {{a: '%', b: /w==, alertmanager.yaml: {encoded}}}\n"
    found = linted(tmp_path, {"alertmanager.yml": secret})

    assert ("expiry-before-repeat", None) in [each[:2] for each in checks(found)]


def test_a_quoted_text_has_no_lines(tmp_path):
    """The findings name the file only."""
    text = f'kind: ConfigMap\ndata:\n  rules.yml: "{NAMELESS}"\n'.replace('"{{ $value }}"', "x")
    text = text.replace("\n", "\\n").replace('\\n  rules.yml: "', '\n  rules.yml: "')
    text = text.replace("ConfigMap\\ndata:", "ConfigMap\ndata:").removesuffix("\\n")

    assert checks(linted(tmp_path, {"rules.yml": text})) == [("identity-missing", None, 1)]


def test_prometheus(tmp_path):
    """A ConfigMap with rules beside the configuration: the configuration is read."""
    text = configmap("rules.yml", RULES) + "  prometheus.yml: |\n"
    text += "    global: {external_labels: {replica: a}}\n"
    found = linted(tmp_path, {"prometheus.yml": text})

    assert [each.check for each in found] == ["replica-label"]
    assert "replica: a" in found[0].place.source


def test_a_template_of_helm_is_told_as_such(tmp_path):
    """It is no YAML before it is rendered."""
    found = linted(tmp_path, {"rules.yml": "{{- if .Values.rules }}\ngroups: []\n{{- end }}\n"})

    assert [each.check for each in found] == ["unreadable"]  # not also that there are no rules
    assert "a template of Helm is linted as `helm template` renders it" in told(found)[0][2]


def test_a_template_in_a_text_is_none_of_helm(tmp_path):
    """Alertmanager's own texts have the same braces."""
    text = "x:\n    a: 1\n   title: '{{ .Status }}'\n"
    found = linted(tmp_path, {"alertmanager.yml": text})

    assert "Helm" not in told(found)[0][2]


def test_a_service_of_a_chart_is_no_route(tmp_path):
    """The values of Alertmanager's chart have a `route` for the Gateway, too."""
    text = f"route: {{main: {{enabled: false}}}}\nconfig:\n{indented(ALERTMANAGER, 2)}"

    assert linted(tmp_path, {"alertmanager.yml": text}) == []


def test_values_are_laid_over_others(tmp_path):
    """What a chart's values do not say may stand in others."""
    partial = ALERTMANAGER.replace("  receiver: retrain\n", "", 1)
    values = f"alertmanager:\n  config:\n{indented(partial, 4)}"

    def refused(text):
        found = linted(tmp_path, {"alertmanager.yml": text, "rules.yml": ""})
        return [each.said for each in found if each.check == "alertmanager-unreadable"]

    assert refused(values) == []
    assert refused(partial) == ["the first route names no receiver"]
    (found,) = [
        each
        for each in linted(tmp_path, {"alertmanager.yml": values})
        if each.check == "no-alert-arrives"
    ]
    assert (found.severity, found.consequence) == (
        "warning",
        "no alert can reach us, unless other values have routes",
    )


def test_a_package_with_a_platforms_part(tmp_path):
    """The pipeline then stands one level deeper."""
    spec = "pipelineInfo: {name: x}\nroot: {inputDefinitions: {parameters: {user_id: {}}}}\n"
    text = f"pipeline_spec:\n{indented(spec, 2)}platform_spec: {{}}\n"
    found = linted(tmp_path, {"pipeline.yaml": text, "receiver.yaml": PIPELINE})

    assert checks(found) == [("pipeline-parameter-undeclared", 3, 29)]


def test_what_is_no_file(tmp_path):
    """A device would never end; a pipe of a shell does."""
    (tmp_path / "rules.txt").write_text(NAMELESS)
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "rules.txt").open() as source:
        writer = subprocess.Popen(["sh", "-c", f"cat > {tmp_path / 'pipe'}"], stdin=source)
    piped = linted(tmp_path, {"rules.yml": ""}, rules=[str(tmp_path / "pipe")])
    writer.wait(30)

    assert checks(piped) == [("identity-missing", 5, 15)]
    device = linted(tmp_path, {"rules.yml": ""}, rules=["/dev/zero"])
    assert told(device) == [("unreadable", None, "can't be read: a device")]
    large = tmp_path / "large.yml"
    with large.open("w") as file:
        file.truncate(64 * 1024 * 1024 + 1)
    found = linted(tmp_path, {"rules.yml": ""}, rules=[str(large)])
    assert told(found) == [("unreadable", None, "is larger than 64 MiB")]
