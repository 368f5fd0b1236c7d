"""An HTTP API as a target describes it: what is sent there, and what its answers say."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.core.dispatches import Dispatch
from receiver.core.http_api import (
    HttpApi,
    HttpOrder,
    NoAddress,
    address,
    fill_body,
    is_run_id,
    message_in,
    names_in,
    run_id_in,
    state_in,
)
from receiver.core.inputs import fill_place
from receiver.core.json_pointers import parse_pointer, value_at, word_at
from receiver.core.runs import RunState
from receiver.core.targets import Target, TargetKind
from tests.fakes import NOON

API = HttpApi(
    url="https://api.example/{team}/runs",
    run_url="https://api.example/{team}/runs/{run_id}",
    state="/status/phase",
    states={"ok": "succeeded", "bad": "failed"},
)
# The document of RFC 6901, section 5.
RFC = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8, " ": 7, 'k"l': 6}


def dispatch(place, **inputs):
    return Dispatch(
        id="0" * 26,
        model="red.42",
        policy="drift",
        target="api",
        kind=TargetKind.HTTP,
        place=place,
        inputs=inputs,
        created_at=NOON,
        due_at=NOON,
        cooldown=timedelta(hours=6),
        settle=timedelta(hours=1),
        decision_id=1,
    )


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/m~0n", 8),
        ("/ ", 7),
        ('/k"l', 6),
        ("/foo/2", None),
        ("/foo/01", None),
        ("/foo/-", None),
        ("/foo/-1", None),
        ("/foo/0/bar", None),
        ("/none", None),
        ("/none/below", None),
    ],
)
def test_a_pointer_names_one_value(pointer, found):
    """As RFC 6901 has it; what is not there is None."""
    assert value_at(RFC, pointer) == found


def test_an_escaped_tilde_before_a_one_is_no_slash():
    """`~01` is `~1`: the order in which the two are read matters."""
    assert parse_pointer("/~01") == ("~1",)


@pytest.mark.parametrize("pointer", ["", "status", "#/status", "/a~", "/a~2b", "$.status"])
def test_what_is_no_pointer_is_told_with_its_cure(pointer):
    """The whole document is no state, and JSONPath is something else."""
    with pytest.raises(ValueError, match="write /status/phase"):
        parse_pointer(pointer)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.lists(st.text() | st.integers(0, 10**12).map(str)),
)
def test_no_answer_breaks_a_pointer(document, parts):
    """Whatever strangers send, something is found or nothing is."""
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts) or "/"
    value_at(document, pointer)
    assert word_at(document, pointer) is None or isinstance(word_at(document, pointer), str)


@pytest.mark.parametrize(
    ("value", "word"),
    [("ok", "ok"), (True, "true"), (0, "0"), (1.5, None), (None, None), ([], None), ({}, None)],
)
def test_a_word_is_a_text_a_truth_or_a_whole_number(value, word):
    """As JSON writes it, so that the configuration can name it."""
    assert word_at({"state": value}, "/state") == word


def test_a_place_keeps_the_whole_api_and_the_labels_of_its_addresses():
    """All that a dispatch needs later, whatever the configuration says by then."""
    target = Target("api", TargetKind.HTTP, API.place("https://api.example"), {})

    place = fill_place(target, {"team": "a/b{c}", "other": "x"})

    assert place["base_url"] == "https://api.example"
    assert place["label.team"] == "a/b{c}"
    assert set(place) == {"base_url", "api", "label.team"}
    assert HttpApi.at(place) == HttpApi.of(target) == API
    assert target.address == "http https://api.example"


def test_labels_are_quoted_in_addresses_and_climb_nowhere():
    """No label chooses another path, query or host."""
    order = HttpOrder(API, dispatch({"label.team": "a/b?c#d%"}))
    assert order.url() == "https://api.example/a%2Fb%3Fc%23d%25/runs"
    assert order.run_url("x y") == "https://api.example/a%2Fb%3Fc%23d%25/runs/x%20y"
    for label in (".", ".."):
        with pytest.raises(NoAddress):
            HttpOrder(API, dispatch({"label.team": label})).url()
    assert address("https://api.example/x?of={a}", {"label.a": ".."}, {}).endswith("?of=..")


def test_an_order_knows_its_run_if_we_choose_the_id():
    """The same for each attempt; without that only the target knows it."""
    chosen = HttpApi(**{**fields(API), "run_id": "retrain-{dispatch_id}"})
    assert HttpOrder(chosen, dispatch({})).run_id == "retrain-" + "0" * 26
    assert HttpOrder(API, dispatch({})).run_id is None
    assert HttpOrder(API, dispatch({})).link("x") is None
    linked = HttpApi(**{**fields(API), "link": "https://page.example/{run_id}?of={model}"})
    assert HttpOrder(linked, dispatch({})).link("a/b") == "https://page.example/a%2Fb?of=red.42"


def fields(api):
    return json.loads(api.place("")["api"].replace("{{", "{").replace("}}", "}"))


def test_a_body_is_filled_in_its_texts_only():
    """Numbers stay numbers, and what needs something that is not there is left out."""
    template = {
        "n": "{value}",
        "text": "mae {value}",
        "who": "{model}",
        "plain": "{{x}}",
        "list": ["{missing}", "{who}", 1],
        "gone": "{missing}",
        "deep": {"gone": "a {missing}", "null": None, "yes": True},
    }
    filled = fill_body(template, {"value": 0.25, "model": "m", "who": "42"})

    assert filled == {
        "n": 0.25,
        "text": "mae 0.25",
        "who": "m",
        "plain": "{x}",
        "list": ["42", 1],
        "deep": {"null": None, "yes": True},
    }
    assert names_in(template) == {"value", "model", "who", "missing"}


def test_no_label_takes_the_place_of_a_field_of_ours():
    """A label named `run_id` or `model` does not choose under which id we ask."""
    api = HttpApi(**{**fields(API), "run_id": "r-{dispatch_id}", "body": {"id": "{run_id}"}})

    kind, content = HttpOrder(api, dispatch({}, run_id="evil")).content()

    assert kind == "application/json"
    assert content == {"id": "r-" + "0" * 26}


def test_without_a_body_the_order_is_a_cloud_event():
    """Its id is the dispatch's."""
    api = HttpApi(**{**fields(API), "source": "https://retrain.example"})

    kind, event = HttpOrder(api, dispatch({}, value=0.5)).content()

    assert kind.startswith("application/cloudevents+json")
    assert event["id"] == "0" * 26
    assert event["source"] == "https://retrain.example"
    assert event["data"] == {"value": 0.5, "dispatch_id": "0" * 26}


@pytest.mark.parametrize(
    ("where", "headers", "content", "found"),
    [
        (None, {"location": "/runs/7"}, {"id": "7"}, None),
        ("/id", {}, {"id": "7"}, "7"),
        ("/id", {}, {"id": 7}, "7"),
        ("/id", {}, {"id": ""}, None),
        ("/id", {}, None, None),
        ("/id", {}, {"id": "."}, None),
        ("Location", {"location": "https://x/runs/a%20b/"}, None, "a b"),
        ("Location", {"location": "/runs/7?x=1"}, None, "7"),
        ("Location", {"location": "https://x"}, None, None),
        ("Location", {}, {"id": "7"}, None),
        ("Location", {"location": "/runs/.."}, None, None),
    ],
)
def test_an_answer_names_its_run(where, headers, content, found):
    """In its body or in the header that leads to the run."""
    api = HttpApi(**{**fields(API), "answer_id": where})

    assert run_id_in(api, headers, content) == found


@settings(deadline=None)
@given(st.text())
def test_an_id_of_strangers_is_one_part_of_a_path(text):
    """It can be quoted, and read back."""
    if is_run_id(text):
        order = HttpOrder(API, dispatch({"label.team": "red"}))
        assert order.run_url(text).count("/") == 5
    assert not is_run_id("x" * 251)


def test_states_and_messages_are_read_by_pointers():
    """A word that is not named is that of a run that goes on."""
    assert state_in(API, {"status": {"phase": "ok"}}) == (RunState.SUCCEEDED, "ok")
    assert state_in(API, {"status": {"phase": "new"}}) == (RunState.RUNNING, "new")
    assert state_in(API, {}) == (RunState.RUNNING, None)
    assert message_in(API, {"why": "x"}) == ""
    why = HttpApi(**{**fields(API), "message": "/why"})
    assert message_in(why, {"why": "x"}) == "x"
    assert message_in(why, {"why": {"x": 1}}) == ""
