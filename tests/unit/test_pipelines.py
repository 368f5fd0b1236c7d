"""What compiled pipelines declare, and what their runs are given."""

from datetime import UTC, datetime, timedelta

import pytest

from receiver.core.dispatches import Dispatch, DispatchError, Failure
from receiver.core.targets import TargetKind
from receiver.dispatchers.pipelines import (
    Package,
    fill_parameters,
    is_package,
    package,
    run_id,
    run_name,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SPEC = {"root": {"dag": {}}}
PLATFORM = {"platforms": {"kubernetes": {}}}


def dispatch(**inputs):
    return Dispatch(
        id="01jd9xk3v0q8z5m7n2b4c6d8fg",
        decision_id=1,
        model="churn",
        policy="model-quality",
        target="retrain-pipeline",
        kind=TargetKind.KFP,
        place={},
        inputs=inputs,
        created_at=NOON,
        due_at=NOON,
        cooldown=timedelta(hours=6),
        settle=timedelta(hours=1),
    )


def declaring(**parameters):
    return {"root": {"inputDefinitions": {"parameters": parameters}}}


def test_names_and_ids_never_change():
    """A run in doubt is looked up by them, perhaps by a later release."""
    assert run_id("01jd9xk3v0q8z5m7n2b4c6d8fg", 1) == "c7e1ee57-44fc-544f-b0b5-8d915dbb55fd"
    assert run_id("01jd9xk3v0q8z5m7n2b4c6d8fg", 2) != run_id("01jd9xk3v0q8z5m7n2b4c6d8fg", 1)
    assert run_name(dispatch()) == "retrain churn [01jd9xk3v0q8z5m7n2b4c6d8fg]"


@pytest.mark.parametrize(
    ("pipeline", "answer"),
    [
        ("/etc/receiver/retrain", True),
        ("retrain.yaml", True),
        ("retrain.yml", True),
        ("retrain.json", True),
        ("retrain", False),
        ("retrain v1.2", False),
        ("team/retrain", False),
    ],
)
def test_is_package(pipeline, answer):
    """A path is absolute or has a suffix; anything else names an uploaded pipeline."""
    assert is_package(pipeline) is answer


@pytest.mark.parametrize(
    ("documents", "spec", "platform"),
    [
        ([SPEC], SPEC, None),
        ([SPEC, None], SPEC, None),
        ([SPEC, PLATFORM], SPEC, PLATFORM),
        ([{"pipeline_spec": SPEC}], SPEC, None),
        ([{"pipeline_spec": SPEC, "platform_spec": PLATFORM}], SPEC, PLATFORM),
    ],
)
def test_package(documents, spec, platform):
    """Both ways in which KFP writes a pipeline with needs of its platform are understood."""
    assert package(documents, "not one") == Package(spec, platform)


def test_a_platform_travels_with_the_pipeline():
    """A KFP server takes both together, or the pipeline alone."""
    assert Package(SPEC).body == SPEC
    assert Package(SPEC, PLATFORM).body == {"pipeline_spec": SPEC, "platform_spec": PLATFORM}


@pytest.mark.parametrize(
    "documents", [[], [None], ["text"], [{}], [{"a": 1}, SPEC], [{"root": 1}]]
)
def test_other_yaml_is_no_package(documents):
    """What is not a pipeline is refused with the sentence given."""
    with pytest.raises(DispatchError, match="not one") as caught:
        package(documents, "not one")

    assert caught.value.failure is Failure.REFUSED


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("STRING", "churn", "churn"),
        ("STRING", 0.1, "0.1"),
        ("NUMBER_DOUBLE", 3.0, 3.0),
        ("NUMBER_DOUBLE", "2.5", 2.5),
        ("NUMBER_INTEGER", 3.0, 3),
        ("NUMBER_INTEGER", "42", 42),
        ("BOOLEAN", "true", True),
        ("BOOLEAN", "false", False),
    ],
)
def test_a_parameter_gets_the_declared_type(kind, given, value):
    """KFP takes neither "0.5" for a number nor 1.0 for an integer."""
    parameters = fill_parameters(declaring(a={"parameterType": kind}), dispatch(a=given))

    assert parameters == {"a": value}
    assert type(parameters["a"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("NUMBER_DOUBLE", "many"),
        ("NUMBER_DOUBLE", "inf"),
        ("NUMBER_DOUBLE", "nan"),
        ("NUMBER_INTEGER", 3.5),
        ("NUMBER_INTEGER", "1e999"),
        ("NUMBER_INTEGER", "nan"),
        ("BOOLEAN", "yes"),
        ("BOOLEAN", 1.0),
        ("LIST", "a"),
        ("STRUCT", "{}"),
    ],
)
def test_a_value_of_another_type_is_refused(kind, given):
    """The sentence names the parameter and its type."""
    with pytest.raises(DispatchError, match=f"'a' is {kind}") as caught:
        fill_parameters(declaring(a={"parameterType": kind}), dispatch(a=given))

    assert caught.value.failure is Failure.REFUSED


def test_what_may_be_left_out_is_left_out():
    """A default or `isOptional` makes a parameter optional; anything else is needed."""
    spec = declaring(
        a={"parameterType": "STRING", "defaultValue": ""},
        b={"parameterType": "STRING", "isOptional": True},
        c={"parameterType": "STRING"},
    )

    assert fill_parameters(spec, dispatch(c="x")) == {"c": "x"}
    with pytest.raises(DispatchError, match="needs 'c'"):
        fill_parameters(spec, dispatch(a="x"))


def test_what_is_not_declared_is_refused():
    """A misspelt name would else train with the default, unnoticed."""
    with pytest.raises(DispatchError, match="does not declare 'b'; it declares 'a'"):
        fill_parameters(declaring(a={"parameterType": "STRING"}), dispatch(a="x", b="y"))
    with pytest.raises(DispatchError, match="it declares no parameters"):
        fill_parameters({"root": {}}, dispatch(b="y"))


def test_the_dispatch_id_is_given_where_it_is_declared():
    """Nobody else may choose it."""
    spec = declaring(dispatch_id={"parameterType": "STRING"})

    assert fill_parameters(spec, dispatch(dispatch_id="x")) == {"dispatch_id": dispatch().id}
    assert fill_parameters({"root": {}}, dispatch()) == {}
