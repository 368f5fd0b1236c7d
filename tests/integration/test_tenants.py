"""A reader who is limited to labels learns nothing of anybody else's models, whatever it asks."""

import json
import re
from base64 import b64encode
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPConnection
from urllib.parse import quote, unquote, urlsplit

import pytest
from starlette.routing import Route

from receiver.core.runs import RunState
from receiver.store.store import Store
from receiver.web import app as application
from receiver.web.page.routes import routes_of
from tests.described import check
from tests.fakes import FakeTarget, HandClock, refused, unavailable
from tests.histories import History
from tests.posts import entry, post
from tests.serving import Answer, Hosted, host

CONFIG = """\
auth:
  webhook: [{name: alertmanager, token_file: webhook}]
  operator: [{name: ops, token_file: operator}]
  reader:
    - {name: platform, token_file: everything}
    - {name: tenant, token_file: mine, labels: {user_id: mine}}
    - {name: nobody, token_file: none, labels: {user_id: nobody}}
    - {name: part, token_file: part, labels: {user_id: mine, model: a}}
  proxy:
    user_header: X-Forwarded-User
    groups_header: X-Forwarded-Groups
    roles: {operator: [on-call], reader: [platform]}
    tenants: {team-mine: {user_id: mine}, team-other: {user_id: other}}
    trusted: [127.0.0.1]
storage: {min_free: 0}
announcements: [{name: hooks, webhook: {url: "http://127.0.0.1:9", secret_file: signing}}]
targets:
  pipeline:
    kfp: {endpoint: "http://127.0.0.1:9", pipeline: retrain, parameters: {user_id: "{user_id}"}}
policies:
  - name: drift
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: &both {name: "{user_id}.{model}", labels: {user_id: "[a-z0-9-]+", model: "[a-z0-9-]+"}}
    target: pipeline
    budget: {runs: 40 in 30d}
  - name: ask-first
    match: ['alertname="ModelTooOld"']
    model: *both
    target: pipeline
    mode: approve
  - name: one-name
    match: ['alertname="Shared"']
    model: {name: "{model}", labels: {user_id: "[a-z0-9-]+", model: "[a-z0-9-]+"}}
    target: pipeline
    mode: observe
  - name: stormy
    match: ['alertname="Gust"']
    model: *both
    target: pipeline
    storm: {models: 3, within: 10m, wait: 1m}
  - name: foreign-policy
    match: ['alertname="Theirs"']
    model: *both
    target: pipeline
    mode: observe
"""

SECRETS = ("webhook", "operator", "everything", "mine", "none", "part")
TENANT = "mine"
FOREIGN = "foreign"
WHY = {"comment": "about foreign models"}
TRAP = '{"user_id":"mine","model":"a"}'


def alert(model, name="HighModelMAE", **more):
    """An alert about `user.model`; what is not ours says so in a label."""
    user, _, plain = model.partition(".")
    labels = {"model": plain}
    if user != "mine":
        labels |= {"note": f"{FOREIGN}-note", "trap": TRAP}
    return entry(user, name=name, labels=labels, **more)


@dataclass
class World:
    """Our models and others' in many states; who asks for them, and what is there."""

    peer: Hosted
    history: History

    def ask(self, path, token=TENANT, method="GET", **more) -> Answer:
        answer = self.peer.ask(method, path, token=token, **more)
        if not path.startswith("/ui") and path.partition("?")[0] != "/":
            check(method, path, answer)
        return answer

    def everything(self, path):
        """What an unlimited reader is told."""
        return self.ask(path, token="everything").json()

    def decisions(self, which):
        """Ids of decisions, as the whole log has them."""
        rows = self.everything("/decisions?limit=500")["decisions"]
        return [row["id"] for row in rows if which(row["model"] or "")]

    def dispatches(self, which):
        rows = self.everything("/dispatches?limit=500")["dispatches"]
        return [row["id"] for row in rows if which(row["model"])]

    def models(self, which):
        rows = self.everything("/models?limit=500")["models"]
        return [row["model"] for row in rows if which(row["model"])]

    def act(self, path, **body):
        answer = self.ask(path, token="operator", method="POST", body={**WHY, **body})
        assert answer.status == 200, answer.text

    def deliver(self, *alerts):
        answer = self.ask("/webhook", token="webhook", method="POST", body=post(*alerts))
        assert answer.status == 200, answer.text


def is_mine(model):
    return model.startswith("mine.")


def is_foreign(model):
    return model.startswith("foreign.")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request, tmp_path_factory):
    """On each engine; what a test adds to it, others may find."""
    folder = tmp_path_factory.mktemp("tenants")
    for name in SECRETS:
        (folder / name).write_text(f"{name}\n")
    (folder / "signing").write_text("whsec_" + b64encode(bytes(32)).decode())
    with ExitStack() as stack:
        url = f"sqlite:///{folder}/receiver.db"
        if request.param == "postgresql":
            server, template = map(request.getfixturevalue, ("postgres", "template"))
            url = server.url(stack.enter_context(server.database(template)))
        clock = HandClock()
        history = History(
            stack.enter_context(closing(Store.open(url, clock))), clock, FakeTarget()
        )
        made = World(stack.enter_context(host(history, folder, CONFIG)), history)
        populate(made)
        yield made


def populate(world):
    """The same of ours and of others', in shared notifications."""
    history, target = world.history, world.history.target
    world.deliver(alert("mine.a"), alert("foreign.a"), alert("other.a"))
    history.run_to_its_end(RunState.SUCCEEDED)
    world.deliver(alert("mine.a", name="LowModelR2"), alert("foreign.a", name="LowModelR2"))
    target.accidents = [refused] * 5
    world.deliver(*(alert(f"foreign.refused-{n}") for n in range(4)), alert("mine.refused"))
    while history.send():
        pass
    target.accidents = [unavailable] * 5
    world.deliver(*(alert(f"foreign.waits-{n}") for n in range(4)), alert("mine.waits"))
    while history.send():
        pass
    target.accidents = []
    asks = [alert(f"foreign.asks-{n}", "ModelTooOld") for n in range(4)]
    world.deliver(*asks, alert("mine.asks", "ModelTooOld"), alert("foreign.seen", "Theirs"))
    gusts = [alert(f"foreign.gust-{n}", "Gust") for n in range(4)]
    world.deliver(*gusts, alert("mine.gust", "Gust"))
    history.clock.pass_(timedelta(minutes=2))
    history.tick()
    world.deliver(alert("mine.name", "Shared"))
    history.clock.pass_(timedelta(seconds=1))
    # Somebody else gives the model's name; what they say is no part of our story.
    world.deliver(alert("foreign.name", "Shared"))
    world.deliver(
        alert("foreign.name", "Shared", status="resolved", ends_at="2026-11-22T11:30:00Z")
    )
    world.deliver(
        alert("foreign.x", "NoSuchPolicy"),
        entry("mine", name="NoSuchPolicy", labels={"note": f"{FOREIGN}-note"}),
        entry("FOREIGN !", labels={"model": "a"}),
        entry(FOREIGN, labels={"model": "tried", "retrain_test": "true"}),
    )
    world.act("/models/foreign.a/pause")
    world.act("/pause", policy="foreign-policy")
    world.act("/models/foreign.asks-0/approve")
    world.act("/models/foreign.asks-1/reject")
    assert world.ask("/webhook", token="webhook", method="POST", body=b'"foreign"').status == 400


# How each route answers a tenant. A route that is not here fails the first test.
SHOWN, REFUSED, OPERATORS, OPEN, PROGRAMS = "theirs", "tells of all", "operators'", "open", "posts"
SAME = "the same for every reader"

API = {
    "GET /decisions": SHOWN,
    "GET /decisions/{id}": SHOWN,
    "GET /models": SHOWN,
    "GET /models/{model:name}": SHOWN,
    "GET /dispatches": SHOWN,
    "GET /dispatches/{id}": SHOWN,
    "GET /events": SHOWN,
    "GET /policies": REFUSED,
    "GET /targets": REFUSED,
    "GET /announcements": REFUSED,
    "GET /metrics": REFUSED,
    "GET /rejections": OPERATORS,
    "POST /-/reload": OPERATORS,
    "PUT /-/reload": OPERATORS,
    **{
        f"POST /models/{{model:name}}/{act}": OPERATORS
        for act in ("retrain", "pause", "resume", "forget", "approve", "reject")
    },
    **{f"POST /{act}": OPERATORS for act in ("pause", "resume", "release", "reject")},
    **{f"POST /dispatches/{{id}}/{act}": OPERATORS for act in ("retry", "abandon")},
    "POST /webhook": PROGRAMS,
    "POST /webhook/": PROGRAMS,
    "GET /-/healthy": OPEN,
    "GET /-/ready": OPEN,
    "GET /openapi.json": OPEN,
}

FORMS = (
    *(
        f"/ui/models/{{name:path}}/{act}"
        for act in ("retrain", "pause", "resume", "forget", "approve", "reject")
    ),
    "/ui/dispatches/{name}/{act}",
    "/ui/acts/{act}",
)

PAGES = {
    "GET /": SHOWN,
    "GET /ui/models/{model:path}": SHOWN,
    "GET /ui/decisions": SHOWN,
    "GET /ui/runs": SHOWN,
    "GET /ui/words": SAME,
    "GET /ui/decisions/{id}": SHOWN,
    "GET /ui/dispatches/{id}": SHOWN,
    "GET /ui/policies": REFUSED,
    "GET /ui/backtest": REFUSED,
    "POST /ui/backtest": OPERATORS,
    "GET /ui/selection": OPERATORS,
    "POST /ui/selection": OPERATORS,
    "GET /ui/rejections/{id}": OPERATORS,
    **{f"{method} {form}": OPERATORS for form in FORMS for method in ("GET", "POST")},
    "POST /ui/models/{name:path}/{act}": OPERATORS,
    "GET /ui/static/{name}": OPEN,
    # Whoever has a signed link may use it; without one they tell and do nothing.
    "GET /ui/act/{token}": OPEN,
    "POST /ui/act": OPEN,
    "GET /ui": OPEN,
    "POST /ui": OPEN,
    "GET /ui/{path:path}": OPEN,
    "POST /ui/{path:path}": OPEN,
}

STREAM = "GET /events"


def told(routes):
    """Each method and path of a table of routes."""
    return {
        f"{method} {route.path}"
        for route in routes
        for method in (route.methods or {"GET"}) - {"HEAD"}
    }


def test_every_route_is_classified(world):
    """From the tables that the application is made of: a new route must say what it does."""
    served = application.build_app(world.peer.service)._app.routes
    routes = [one for one in served if not isinstance(one.endpoint, application.Pages)]
    mounts = {one.path for one in served if one not in routes}

    assert all(isinstance(one, Route) for one in served)
    assert mounts == {"/", "/ui", "/ui/{path:path}"}
    assert told(routes) == API.keys()
    assert told(routes_of(world.peer.service)) == PAGES.keys()


def paths_of(route, world, which):
    """A route's addresses for models, dispatches and decisions like these."""
    path = route.partition(" ")[2].replace("{name}", "{id}").replace("{act}", "retry")
    for part in ("{model:name}", "{model:path}", "{name:path}"):
        if part in path:
            return [path.replace(part, quote(name, safe="")) for name in world.models(which)]
    if "{id}" not in path:
        return [path]
    ids = world.dispatches(which) if "dispatches" in path else world.decisions(which)
    if "rejections" in path:
        ids = [1]
    return [path.replace("{id}", str(one)) for one in ids]


def classed(kind):
    return [route for route, one in {**API, **PAGES}.items() if one == kind]


WHOSE = [route for route in classed(SHOWN) if "{" in route]
LISTS = [route for route in classed(SHOWN) if "{" not in route and route != STREAM]


def leaks(text, asked=""):
    """What a text says of others' models, besides what was asked."""
    found = set(re.findall(r"foreign[.-][a-z0-9.-]*|about foreign|foreign_policy|other\.a", text))
    return {one for one in found if one not in unquote(asked)}


def test_what_is_anothers_is_answered_like_what_is_not_there(world):
    """By name and by id: the same status and body, but for what was asked."""
    for route in WHOSE:
        foreign, mine = (paths_of(route, world, which) for which in (is_foreign, is_mine))
        assert foreign, route
        assert mine, route
        for path in mine:
            assert world.ask(path).status == 200, path
        place = path.rpartition("/")
        nowhere = world.ask(f"{place[0]}/{_unlike(place[2])}")
        for path in foreign:
            answer = world.ask(path)
            assert answer.status == nowhere.status == 404, path
            assert _without_ids(answer.text) == _without_ids(nowhere.text), path
            assert world.ask(path, token="everything").status == 200, path


def _unlike(last):
    return str(10**15 + 7) if last.isdigit() else "none"


def _without_ids(text):
    return re.sub(r"\d{9,}", "ID", text)


QUERIES = (
    "",
    "?limit=1",
    "?limit=500",
    "?policy=drift",
    "?policy=foreign-policy",
    "?model=foreign.a",
    "?reason=triggered",
    "?reason=invalid",
    "?reason=unmatched",
    "?reason=operator",
    "?since=30d",
    "?until=1s",
    "?state=attention",
    "?state=quiet",
    "?state=waiting",
    "?state=refused",
    "?sort=worst",
    "?q=foreign",
    "?target=pipeline",
    "?labels=user_id=foreign",
    "?labels=model=refused-1",
    "?skip=1",
)


def test_lists_counts_and_exports_tell_of_theirs_only(world):
    """With every filter, in every form: not a name, a label, a comment or a number of others."""
    accepts = ({}, {"Accept": "text/csv"}, {"Accept": "application/x-ndjson"})
    for route in LISTS:
        path = route.partition(" ")[2]
        whole = world.ask(path, token="everything")
        assert FOREIGN in whole.text, route
        for query in QUERIES:
            for headers in accepts if path == "/decisions" else accepts[:1]:
                answer = world.peer.get(path + query, token="mine", headers=headers)
                assert answer.status in {200, 400}, (path, query)
                assert not leaks(answer.text, query), (path, query, headers)
        assert "mine" in world.ask(path).text, route


def test_what_is_the_same_for_every_reader_tells_of_nobody(world):
    for route in classed(SAME):
        path = route.partition(" ")[2]
        answer = world.ask(path)
        assert answer.status == 200, route
        assert FOREIGN not in answer.text, route
        assert world.peer.get(path).status == 401, route


def test_pages_of_a_list_are_whole_and_end_where_theirs_end(world):
    """Each page has as many rows as were asked for, and all of them together are all of theirs."""
    for path in ("/decisions", "/dispatches", "/models"):
        rows, name, cursor = [], path[1:], ""
        while cursor is not None:
            page = world.ask(f"{path}?limit=2{cursor and f'&cursor={quote(cursor)}'}").json()
            rows += page[name]
            cursor = page["next_cursor"]
            assert len(page[name]) == 2 or cursor is None
        whole = world.everything(f"{path}?limit=500")[name]
        expected = [row["model"] for row in whole if is_mine(row["model"] or "")]
        shared = {"models": ["name"], "decisions": ["name"], "dispatches": []}[name]
        assert sorted(row["model"] for row in rows) == sorted(expected + shared)


def test_cursors_of_an_unlimited_reader_open_nothing(world):
    """Nor do those that were made up: they say where to go on, not what may be seen."""
    for path in ("/decisions", "/dispatches", "/models"):
        cursor = ""
        while cursor is not None:
            query = f"?limit=3{cursor and f'&cursor={quote(cursor)}'}"
            cursor = world.everything(path + query)["next_cursor"]
            answer = world.ask(path + query)
            assert answer.status == 200
            assert FOREIGN not in answer.text
    for cursor in ("foreign.a", "0.0.0.foreign.a", "' OR 1=1 --", "zzz"):
        for path in ("/models?sort=worst&", "/models?", "/dispatches?", "/decisions?"):
            answer = world.ask(f"{path}cursor={quote(cursor)}")
            assert answer.status in {200, 400}
            assert not leaks(answer.text, cursor)
    alerts = world.ask("/models/mine.a?cursor=0.")
    assert FOREIGN not in alerts.text


def test_what_tells_of_all_is_refused_with_the_cure(world):
    """Rather than told in part: targets, budgets, effects and metrics belong to everybody."""
    for route in classed(REFUSED):
        answer = world.ask(route.partition(" ")[2])
        assert answer.status == 403, route
        assert "user_id=mine" in answer.text
        assert FOREIGN not in answer.text
        assert "without labels" in answer.text, route
        assert world.ask(route.partition(" ")[2], token="everything").status in {200, 404}


def test_no_act_is_open_to_them(world):
    """On theirs as on others': a reader reads."""
    before = len(world.decisions(bool))
    for route in classed(OPERATORS):
        method = route.partition(" ")[0]
        for which in (is_foreign, is_mine):
            for path in paths_of(route, world, which)[:1]:
                body = None if method == "GET" else WHY
                answer = world.peer.ask(method, path, token="mine", body=body)
                assert answer.status == 403, (method, path)
                assert FOREIGN not in answer.text
    assert world.ask("/webhook", method="POST", body=post(alert("mine.z"))).status == 403
    assert len(world.decisions(bool)) == before


def test_what_is_open_tells_nobodys_names(world):
    """The probes, the document and the page's files."""
    for route in classed(OPEN):
        method, _, path = route.partition(" ")
        answer = world.peer.ask(method, path.replace("{name}", "page.js"), token="mine")
        assert FOREIGN not in answer.text


def test_a_tenant_without_models_sees_none(world):
    """Every list is empty; the page says whose models it shows."""
    for path in ("/models", "/decisions", "/dispatches"):
        told = world.ask(path, token="none").json()
        assert all(not rows for rows in told.values()), path
    page = world.ask("/", token="none").text
    assert "user_id=nobody" in page
    assert FOREIGN not in page
    assert "mine" not in page


def test_all_labels_of_a_limit_count(world):
    """Equal values of each of them, whole."""
    told = world.ask("/models", token="part").json()["models"]

    assert [row["model"] for row in told] == ["mine.a"]
    assert world.ask("/models/mine.refused", token="part").status == 404


def test_what_is_theirs_is_told_as_to_anybody(world):
    """Row by row as an unlimited reader is told it, the raw alert too."""
    paths = [
        path for route in WHOSE if "/ui/" not in route for path in paths_of(route, world, is_mine)
    ]

    for path in paths:
        assert world.ask(path).json() == world.everything(path), path
    for path in ("/decisions?limit=500", "/dispatches?limit=500", "/models?limit=500"):
        name = path[1:].partition("?")[0]
        rows = [row for row in world.everything(path)[name] if is_mine(row["model"] or "")]
        assert [row for row in world.ask(path).json()[name] if row["model"] != "name"] == rows


def test_what_a_model_is_held_by_is_true_for_them_too(world):
    """Budgets and storms count everybody's models, as those that decide do."""
    mine = world.ask("/models/mine.a").json()
    whole = world.everything("/models/mine.a")

    assert mine == whole
    assert any("30d" in gate["detail"] for gate in mine["explain"]["gates"])
    gust, whole = world.ask("/models/mine.gust").json(), world.everything("/models/mine.gust")
    assert gust == whole
    assert "5 models of policy stormy began to fire" in gust["explain"]["detail"]


def test_counts_of_the_page_are_of_theirs(world):
    """And so is what needs somebody."""
    page = world.ask("/").text
    count = len(world.ask("/models?limit=500").json()["models"])

    assert re.search(rf">all {count}<", page)
    for name in ("mine.refused", "mine.asks", "mine.waits"):
        assert name in page
    assert "/ui/policies" not in page


def test_a_page_confirms_no_act_on_anothers_model(world):
    """`?done=` with an id that was guessed."""
    [act, *_] = [
        row["id"]
        for row in world.everything("/decisions?reason=operator")["decisions"]
        if is_foreign(row["model"] or "")
    ]

    for path in ("/", "/ui/models/mine.a", f"/ui/dispatches/{world.dispatches(is_mine)[0]}"):
        assert FOREIGN not in world.ask(f"{path}?done={act}").text


class Follower:
    """One who listens to the events until nothing more comes for a while."""

    def __init__(self, url, token, last=None):
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=30)
        headers = {"Authorization": f"Bearer {token}"}
        headers |= {} if last is None else {"Last-Event-ID": str(last)}
        self._connection.request("GET", "/events", headers=headers)
        self.answer = self._connection.getresponse()

    def until(self, words):
        """All lines up to the one with these words."""
        said = []
        while not said or words not in said[-1]:
            line = self.answer.readline().decode()
            assert line, "the stream ended"
            said.append(line)
        return "".join(said)

    def close(self):
        self._connection.close()


def test_events_tell_of_theirs_only(world):
    """As it happens, and to who comes back with an id of another's decision."""
    last = min(world.decisions(is_foreign))
    whole = Follower(world.peer.url, "everything", last)
    theirs = Follower(world.peer.url, "mine", last)
    try:
        whole.until("standing")
        told = theirs.until("standing")
        assert FOREIGN not in told
        assert "mine.a" in told

        world.deliver(alert("foreign.new"), alert("mine.new"), alert("foreign.newer"))
        assert "foreign.new" in whole.until('"foreign.newer"')
        assert FOREIGN not in theirs.until('"mine.new"')
        world.deliver(alert("foreign.newest"), alert("mine.newest"))
        assert FOREIGN not in theirs.until('"mine.newest"')
    finally:
        whole.close()
        theirs.close()


def logged_in(groups, name="ana"):
    return {"X-Forwarded-User": name, "X-Forwarded-Groups": groups}


def test_groups_of_a_proxy_limit_alike(world):
    """Of several tenants who is in all sees what each sees; a role's group sees everything."""

    def models(groups):
        answer = world.peer.get("/models?limit=500", headers=logged_in(groups))
        assert answer.status == 200, answer.text
        return {row["model"].partition(".")[0] for row in answer.json()["models"]}

    assert models("staff,team-mine") == {"mine", "name"}
    assert models("team-mine,team-other") == {"mine", "name", "other"}
    assert FOREIGN in models("team-mine,platform")
    assert FOREIGN in models("team-mine,on-call")
    assert world.peer.get("/models", headers=logged_in("staff")).status == 403
    page = world.peer.get("/", headers=logged_in("team-mine"))
    assert "user_id=mine" in page.text
    assert FOREIGN not in page.text
    path = "/models/mine.a/pause"
    assert world.peer.post(path, WHY, headers=logged_in("team-mine")).status == 403
    for route in classed(REFUSED):
        path = route.partition(" ")[2]
        assert world.peer.get(path, headers=logged_in("team-mine")).status == 403, path
    for route in WHOSE:
        for path in paths_of(route, world, is_foreign)[:2]:
            assert world.peer.get(path, headers=logged_in("team-mine")).status == 404, path


def test_a_model_that_was_forgotten_is_nobodys(world):
    """Its log stays, for who reads everything."""
    rows = world.everything("/decisions?limit=500")["decisions"]
    world.deliver(
        alert("mine.asks", "ModelTooOld", status="resolved", ends_at="2026-11-22T12:01:00Z")
    )
    world.history.wait(timedelta(hours=8), timedelta(hours=4))
    world.act("/models/mine.asks/forget")

    assert world.ask("/models/mine.asks").status == 404
    assert world.ask("/decisions?model=mine.asks").json()["decisions"] == []
    assert any(row["model"] == "mine.asks" for row in rows)
    assert json.loads(world.ask("/decisions?model=mine.asks", token="everything").text)[
        "decisions"
    ]
