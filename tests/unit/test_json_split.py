"""JSON is cut at its commas, whatever stands between them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.alertmanager import json_split
from receiver.alertmanager.json_split import NotJSONError, elements, members, outline, trimmed

TEXT = st.text(max_size=5) | st.sampled_from(['\\"', '"', "[{", "\\", "]},"])
JSON = st.recursive(
    st.none() | st.integers(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OUTSIDE = st.binary(max_size=5).filter(lambda text: b'"' not in text and b"\\" not in text)
LAYOUTS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@pytest.fixture(autouse=True, scope="module", params=["usual sizes", "small pieces"])
def _sizes(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "small pieces":
            patch.setattr(json_split, "PIECE", 3)
            patch.setattr(json_split, "WINDOW", 5)
            patch.setattr(json_split, "FEW", 2)
        yield


def elements_of(text):
    outlined = outline(text)
    return [text[span] for span in elements(outlined, trimmed(outlined))]


def members_of(text):
    outlined = outline(text)
    return [(text[name], text[value]) for name, value in members(outlined, trimmed(outlined))]


@settings(max_examples=40, deadline=None)
@given(values=st.lists(JSON, max_size=4), layout=LAYOUTS)
def test_an_array_is_cut_into_its_elements(values, layout):
    """The parts are what the whole consists of, in order."""
    text = json.dumps(values, **layout).encode("utf-8", "surrogatepass")

    assert [json.loads(part) for part in elements_of(text)] == values


@settings(max_examples=40, deadline=None)
@given(values=st.dictionaries(TEXT, JSON, max_size=4), layout=LAYOUTS)
def test_an_object_is_cut_into_its_members(values, layout):
    """Names and values belong together."""
    text = b" " + json.dumps(values, **layout).encode("utf-8", "surrogatepass") + b"\n"

    parts = [(json.loads(name), json.loads(value)) for name, value in members_of(text)]

    assert parts == list(values.items())


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(st.tuples(OUTSIDE, TEXT), max_size=5))
def test_an_outline_keeps_every_byte_in_its_place(parts):
    """Outside of strings it is the text; inside there is nothing, whatever was escaped."""
    strings = [(outside, json.dumps(inside).encode()) for outside, inside in parts]
    text = b"".join(outside + string for outside, string in strings)

    emptied = (outside + b'"' + bytes(len(string) - 2) + b'"' for outside, string in strings)
    assert outline(text) == b"".join(emptied)


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1}", b"[1 2]", b"[1]]", b"[1]x", b'["',
     b'["\\"]', b"[[1]", b"[:]", b"[{]", b"]"],
)  # fmt: skip
def test_what_is_no_array_is_refused(text):
    """The caller learns that it has no array before it, not a part of one."""
    with pytest.raises(NotJSONError):
        elements_of(text)


@pytest.mark.parametrize(
    "text", [b"[]", b'{"a"}', b'{"a":}', b"{a:1}", b'{"a":1,}', b'{"a":1', b'{"a":1}}', b"{1:1}"]
)
def test_what_is_no_object_is_refused(text):
    """A member has a name in quotes, a colon and a value."""
    with pytest.raises(NotJSONError):
        members_of(text)


@pytest.mark.parametrize(
    "part",
    [b"[" * 30_000 + b"]" * 30_000, b"[],[]," * 10_000 + b"0", b'"\\"' + b"\\\\" * 30_000 + b'"'],
)
def test_large_parts_stay_whole(part):
    """Neither depth nor length nor escapes cut a part in two."""
    part = b"[" + part + b"]"

    assert elements_of(b"[1," + part + b",2]") == [b"1", part, b"2"]
