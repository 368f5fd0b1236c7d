"""A proxy in front says who is there; it is believed of its own addresses, and of nobody else."""

from dataclasses import replace
from ipaddress import ip_network

import pytest
from starlette.requests import Request

from receiver.config import ConfigError, ProxySettings, Role, load_config
from receiver.web.auth import Tokens, require
from receiver.web.problems import Problem
from tests.posts import entry, post
from tests.serving import NO_AUTH, refusal, serve

READER, OPERATOR, WEBHOOK = Role.READER, Role.OPERATOR, Role.WEBHOOK

PROXY = ProxySettings(
    user_header="X-Forwarded-User",
    groups_header="X-Forwarded-Groups",
    roles={OPERATOR: frozenset({"ml-on-call"}), READER: frozenset({"*"})},
    trusted=(ip_network("10.0.0.0/24"), ip_network("fd00::7")),
)
TOKENS = Tokens({OPERATOR: (), READER: (), WEBHOOK: ()}, proxy=PROXY)


def asked(*headers, peer="10.0.0.7"):
    raw = [(name.lower().encode(), text.encode("latin-1")) for name, text in headers]
    client = None if peer is None else (peer, 40000)
    return Request({"type": "http", "headers": raw, "client": client, "method": "GET"})


def user(name="ana"):
    return ("X-Forwarded-User", name)


def groups(text):
    return ("X-Forwarded-Groups", text)


def utf8(text):
    """As it looks to who reads headers as Latin-1."""
    return text.encode().decode("latin-1")


def refused(request, *roles, tokens=TOKENS):
    with pytest.raises(Problem) as caught:
        require(request, tokens, *roles)
    return caught.value


def status_of(request, *roles):
    return refused(request, *roles).status


@pytest.mark.parametrize("peer", ["10.0.0.7", "fd00::7", "::ffff:10.0.0.9"])
def test_whom_the_proxy_names_is_who_acts(peer):
    """Without any token; the groups say which roles."""
    caller = require(asked(user(), groups("staff,ml-on-call"), peer=peer), TOKENS, OPERATOR)

    assert (caller.name, caller.roles) == ("ana", {OPERATOR, READER})


BARS = Tokens({OPERATOR: (), READER: ()}, proxy=replace(PROXY, groups_separator="|"))


@pytest.mark.parametrize(
    ("told", "tokens"),
    [("ml-on-call", TOKENS), ("a, ml-on-call ,b", TOKENS), ("a|ml-on-call", BARS)],
)
def test_groups_are_read_as_proxies_write_them(told, tokens):
    """With commas, or with what the configuration says."""
    assert OPERATOR in require(asked(user(), groups(told)), tokens, READER).roles


@pytest.mark.parametrize(
    ("told", "tokens"), [("fans|ml-on-call", TOKENS), ("fans,ml-on-call", BARS)]
)
def test_another_separator_is_part_of_a_groups_name(told, tokens):
    """Whoever may name a group is not thereby in any that the name holds."""
    assert require(asked(user(), groups(told)), tokens, READER).roles == {READER}
    assert refused(asked(user(), groups(told)), OPERATOR, tokens=tokens).status == 403


@pytest.mark.parametrize(
    "told", [[], [groups("")], [groups("ml-on-call-2,on-call")], [groups("*")]]
)
def test_who_is_in_no_such_group_may_only_read(told):
    """A group's whole name counts, and `*` in a header is none."""
    assert require(asked(user(), *told), TOKENS, READER).roles == {READER}
    assert status_of(asked(user(), *told), OPERATOR) == 403


@pytest.mark.parametrize("peer", ["10.0.1.7", "127.0.0.1", "fd00::8", None])
def test_a_header_from_anywhere_else_is_a_lie(peer):
    """Whoever reaches us beside the proxy says to be anybody; also by X-Forwarded-For."""
    lie = asked(user(), groups("ml-on-call"), ("X-Forwarded-For", "10.0.0.7"), peer=peer)

    assert status_of(lie, READER) == 403


@pytest.mark.parametrize(
    "headers",
    [[user("ana"), user("bob")], [user("")], [user(" ")], [user("a\x1b[2J")], [user("x" * 129)]],
    ids=["two", "empty", "blank", "control characters", "long"],
)
def test_what_names_nobody_lets_nobody_in(headers):
    """Of two names one may be the client's own."""
    assert status_of(asked(*headers, groups("ml-on-call")), READER) == 403


@pytest.mark.parametrize("name", ["jürgen", "weiß", "山田", "ana@example.com"])
def test_names_are_read_as_utf8(name):
    """As proxies write them; the log keeps them for good."""
    caller = require(asked(user(utf8(name)), groups("ml-on-call")), TOKENS, OPERATOR)

    assert caller.name == name


def test_what_is_no_utf8_is_latin1():
    """Some proxies write names so."""
    assert require(asked(user("jürgen")), TOKENS, READER).name == "jürgen"


def test_groups_are_read_as_utf8():
    """They are compared with the configuration's."""
    proxy = replace(PROXY, roles={OPERATOR: frozenset({"größe"}), READER: frozenset()})
    tokens = Tokens({OPERATOR: ()}, proxy=proxy)

    caller = require(asked(user(), groups(utf8("a,größe"))), tokens, OPERATOR)

    assert caller.roles == {OPERATOR}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\x1b[2J", "characters that can't be printed"),
        (utf8("a\u202eb"), "characters that can't be printed"),
        ("x" * 129, "129 characters long; 128 are taken"),
        (utf8("山" * 129), "129 characters long; 128 are taken"),
        (
            "configuration",
            "is 'configuration', as the log calls what no person does: let the proxy",
        ),
        ("Link of hook", "as the log calls what no person does"),
        ("anonymous", "as the log calls what no person does"),
    ],
)
def test_a_name_that_can_not_be_kept_is_told_so(name, said):
    """And not that nobody believes the proxy; whatever `Authorization` the proxy sends beside."""
    problem = refused(asked(user(name), groups("ml-on-call")), READER)

    assert problem.status == 403
    assert said in problem.detail
    assert "trusted" not in problem.detail
    beside = asked(user(name), groups("ml-on-call"), ("Authorization", "Bearer of-the-proxy"))
    assert refused(beside, READER).detail == problem.detail


def test_groups_that_come_twice_are_none():
    """One of them may be the client's own."""
    twice = asked(user(), groups("ml-on-call"), groups("staff"))

    assert status_of(twice, OPERATOR) == 403


def test_nobody_logged_in_needs_a_token_as_before():
    """The challenge says so."""
    assert status_of(asked(), READER) == 401


def test_no_person_posts_notifications():
    """Whatever their groups are: Alertmanager has a token."""
    assert status_of(asked(user(), groups("ml-on-call")), WEBHOOK) == 401


CONFIG = (
    NO_AUTH
    + """\
auth:
  webhook: [{name: alertmanager, token_file: webhook}]
  operator: [{name: ops, token_file: operator}]
  proxy:
    user_header: X-Forwarded-User
    groups_header: X-Forwarded-Groups
    roles: {operator: [ml-on-call], reader: ['*']}
    trusted: [TRUSTED]
"""
)


@pytest.fixture
def served(tmp_path):
    def served(trusted):
        (tmp_path / "webhook").write_text("canary-webhook")
        (tmp_path / "operator").write_text("canary-operator")
        return serve(tmp_path, CONFIG.replace("TRUSTED", trusted))

    return served


ANA = {"X-Forwarded-User": "ana@example.com", "X-Forwarded-Groups": "ml-on-call"}


def test_a_person_is_the_actor_of_what_they_do(served):
    """From the proxy to the log; the page greets them without a password."""
    with served("127.0.0.1") as receiver:
        firing = post(entry(name="HighModelMAE"))
        assert receiver.post("/webhook", firing, token="canary-webhook").status == 200
        model = receiver.get("/models", headers=ANA).json()["models"][0]["model"]

        decision = receiver.post(f"/models/{model}/pause", {"comment": "x"}, headers=ANA)

        assert decision.json()["actor"] == "ana@example.com"
        assert receiver.get("/", headers={**ANA, "Accept": "text/html"}).status == 200
        bob = {**ANA, "X-Forwarded-User": "bob", "X-Forwarded-Groups": "staff"}
        refused = receiver.post(f"/models/{model}/resume", {"comment": "x"}, headers=bob)
        assert "which no group of yours has" in refusal(refused, 403)
        by_token = receiver.post(
            f"/models/{model}/resume", {"comment": "x"}, token="canary-operator"
        )
        assert by_token.json()["actor"] == "ops"


PATHS = [
    "/",
    "/models",
    "/decisions",
    "/events",
    "/metrics",
    "/targets",
    "/policies",
    "/rejections",
]


def test_beside_the_proxy_its_headers_open_nothing(served):
    """Real connections from an address that is not the proxy's, to each kind of route."""
    with served("10.255.255.1") as receiver:
        lie = {**ANA, "X-Forwarded-For": "10.255.255.1", "Forwarded": "for=10.255.255.1"}
        for path in PATHS:
            assert receiver.get(path, headers=lie).status == 403, path
        said = receiver.post("/pause", {"comment": "x"}, headers=lie)
        assert "is believed of the addresses in auth.proxy.trusted only" in refusal(said, 403)
        # A token is what it was, and the header beside it nothing.
        ops = receiver.post("/pause", {"comment": "x"}, headers=lie, token="canary-operator")
        assert ops.json()["actor"] == "ops"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"[TRUSTED]": "[]"}, "trusted: is empty, so nobody is believed"),
        ({"[TRUSTED]": "['0.0.0.0/0']"}, "0.0.0.0/0 is everybody"),
        ({"[TRUSTED]": "['::/0']"}, "::/0 is everybody"),
        ({"[TRUSTED]": "[proxy.example.com]"}, "'proxy.example.com' is no address"),
        ({"[TRUSTED]": "[10.0.0.7/24]"}, "is no address and no network"),
        ({"X-Forwarded-User": "X_Forwarded_User"}, "is not the name of a header"),
        ({"X-Forwarded-User": "Authorization"}, "is what clients send"),
        ({"    groups_header: X-Forwarded-Groups\n": ""}, "groups_header: is missing"),
        ({"{operator: [ml-on-call], reader: ['*']}": "{}"}, "roles: gives nobody a role"),
        (
            {"X-Forwarded-Groups\n": "X-G\n    groups_separator: ', '\n"},
            "', ' separates no groups",
        ),
        (
            {"X-Forwarded-Groups\n": "X-G\n    groups_separator: '|'\n", "ml-on-call": "a|b"},
            "groups_separator: is '|', which the name of the group 'a|b' holds",
        ),
    ],
)
def test_what_could_let_in_anybody_is_a_configuration_error(tmp_path, changes, said):
    """Each with its cure."""
    for name in ("webhook", "operator"):
        (tmp_path / name).write_text("canary")
    text = CONFIG
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "receiver.yaml"
    file.write_text(text.replace("TRUSTED", "10.0.0.7"))

    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert said in str(caught.value)
