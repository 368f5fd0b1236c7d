"""Signed links of messages: one answer, once, to the question that they are about."""

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest

from receiver.announcers.act_links import LinkMaker
from receiver.config import load_config
from receiver.core.act_links import LinkAct, LinkEnd, links_in, seal, unseal
from receiver.core.announcements import Announcement, Kind
from receiver.core.runs import RunState
from receiver.core.signatures import signing_key
from receiver.core.times import parse_time
from receiver.flows.operator.acts import Act
from receiver.flows.operator.linked import Ended, act_by_link
from receiver.flows.worker.retention import Ages, forget
from receiver.store.advisory_locks import AdvisoryLock
from receiver.web.service import Loaded
from receiver.wiring import loaded
from tests.clocks import sets_ahead, sets_back
from tests.posts import entry, post
from tests.serving import host, serve

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

SECRET = "whsec_" + b64encode(b"c" * 32).decode()
OTHER = "whsec_" + b64encode(b"o" * 32).decode()
EXTERNAL = "https://retrain.example"

CONFIG = """\
server: {external_url: "https://retrain.example"}
auth:
  webhook: [{name: alertmanager, token_file: webhook}]
  operator: [{name: ops, token_file: operator}]
  reader: [{name: looker, token_file: reader}]
  proxy:
    user_header: X-Forwarded-User
    roles: {reader: ["*"]}
    trusted: [127.0.0.1]
storage: {min_free: 0}
announcements:
  - name: chat
    slack: {url_file: address}
    act_links: {secret_file: chat, expires: 1h}
  - name: others
    teams: {url_file: address}
    act_links: {secret_file: others}
    policies: [stormy]
targets:
  pipeline:
    kfp: {endpoint: "http://127.0.0.1:9", pipeline: retrain, parameters: {user_id: "{user_id}"}}
policies:
  - name: ask-first
    match: ['alertname="HighModelMAE"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]+"}}
    target: pipeline
    mode: approve
    approval: {expiry: 2h}
    cost: {amount: 12.5, unit: EUR}
  - name: stormy
    match: ['alertname="Gust"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]+"}}
    target: pipeline
    storm: {models: 1, within: 10m, wait: 1m}
"""

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
SAID = Act("link of chat", "no reason was given")


class World:
    """A receiver, what it told its subscribers, and whoever follows a link."""

    def __init__(self, peer, history, folder):
        self.peer, self.history, self.folder = peer, history, folder

    def deliver(self, *alerts):
        answer = self.peer.post("/webhook", post(*alerts), token="webhook")
        assert answer.status == 200, answer.text

    def asks(self, model="42", **more):
        """The model fires, and its policy asks."""
        self.deliver(entry(model, **more))

    def storms(self):
        """Two models fire together."""
        self.deliver(entry("1", name="Gust"), entry("2", name="Gust"))
        self.history.clock.pass_(2 * MINUTE)
        self.history.tick()

    def told(self, subscriber="chat"):
        """The newest message to a subscriber that asks something."""
        with self.history.store.view() as view:
            rows = view.announcements.page({"subscriber": subscriber}, limit=100).rows
        return next(one for one in rows if one.kind in {Kind.APPROVAL, Kind.EXHAUSTED})

    def links(self, subscriber="chat", life=HOUR):
        """The links of that message, by their act."""
        return {link.act.value: link for link in links_in(self.told(subscriber), life)}

    def token(self, act="approve", **changes):
        return seal(signing_key(SECRET), replace(self.links()[act], **changes))

    def look(self, token, **more):
        return self.peer.get(f"/ui/act/{token}", **more)

    def press(self, token, headers=FORM, **more):
        fields = {"token": token, **more.pop("fields", {})}
        return self.peer.post("/ui/act", urlencode(fields).encode(), headers=headers, **more)

    def operate(self, path, **body):
        answer = self.peer.post(path, {"comment": "seen", **body}, token="operator")
        assert answer.status == 200, answer.text

    def approval(self, model="42"):
        with self.history.store.view() as view:
            return view.models.approvals([model]).get(model)

    def reload(self, text):
        """Another configuration is in force."""
        file = self.folder / "receiver.yaml"
        file.write_text(text)
        read: Loaded = loaded(load_config(file), self.peer.service.loaded)
        self.peer.service.loaded = read
        self.history.policy_set = read.policy_set


def write_secrets(folder):
    secrets = {"chat": SECRET, "others": OTHER, "address": "http://127.0.0.1:9/a-secret"}
    for name, text in {**secrets, **{n: n for n in ("webhook", "operator", "reader")}}.items():
        (folder / name).write_text(f"{text}\n")


@pytest.fixture
def world(history, folder):
    write_secrets(folder)
    with host(history, folder, CONFIG) as peer:
        yield World(peer, history, folder)


def rows_of(world):
    """Everything that an act could change."""
    with world.history.store.view() as view:
        decisions = view.decisions.page({}, limit=500).rows
        dispatches = view.dispatches.page({}, limit=500).rows
        approvals = view.models.approvals(["42", "43", "1", "2"])
        return decisions, dispatches, approvals, view.models.pauses()


def test_a_link_approves_one_run(world):
    """The page asks once more; who did it, and why, is in the log."""
    world.asks()
    page = world.look(token := world.token())
    assert page.status == 200
    for words in ("Approve a run of 42?", "ask-first", "12.5 EUR", "chat was told", token):
        assert words in page.text

    done = world.press(token, fields={"comment": "clean data"})
    world.history.work()

    assert done.status == 200
    assert "One run of 42 is approved" in done.text
    (row,) = world.history.log(source="operator")
    assert (row.model, row.policy, row.actor, row.comment) == (
        "42",
        "ask-first",
        "link of chat",
        "clean data",
    )
    assert len(world.history.target.starts) == 1


def test_a_link_rejects_for_the_episode(world):
    """Without a word, too."""
    world.asks()
    assert world.press(world.token("reject")).status == 200
    world.history.work()

    assert (world.approval().approved, world.approval().actor) == (False, "link of chat")
    assert world.approval().comment == "no reason was given"
    assert world.history.target.starts == []


def test_a_link_releases_a_storm(world):
    """All models of the policy, and a storm that comes later is asked about anew."""
    world.storms()
    page = world.look(token := world.token("release"))
    assert "2 models that a storm holds are released" in page.text
    assert world.press(token).status == 200
    world.history.work()

    assert len(world.history.target.starts) == 2
    (row,) = world.history.log(source="operator")
    assert (row.policy, row.actor) == ("stormy", "link of chat")
    assert LinkEnd.USED in world.press(token).text


@pytest.mark.parametrize(
    ("login", "said", "actor", "comment"),
    [
        ({"X-Forwarded-User": "ana"}, "", "ana", "by a link of chat"),
        ({"Authorization": "Bearer reader"}, "", "looker", "by a link of chat"),
        ({"Authorization": "Bearer operator"}, " ok ", "ops", "ok (by a link of chat)"),
        ({"Authorization": "Bearer nobody's"}, "", "link of chat", "no reason was given"),
        ({"Authorization": "Basic %"}, " ok ", "link of chat", "ok"),
    ],
)
def test_who_is_known_is_named(world, login, said, actor, comment):
    """A login is not needed, but whom it names did it; the link stays in the log."""
    world.asks()
    answer = world.press(world.token(), {**FORM, **login}, fields={"comment": said})
    assert answer.status == 200

    (row,) = world.history.log(source="operator")
    assert (row.actor, row.comment) == (actor, comment)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(world, method):
    """Chats and mail gates fetch what they are sent, as often as they like."""
    world.asks()
    before = rows_of(world)
    for act in ("approve", "reject"):
        for _ in range(2):
            answer = world.peer.ask(method, f"/ui/act/{world.token(act)}", password="operator")
            assert answer.status == 200
    for method_ in ("PUT", "DELETE", "OPTIONS", "POST"):
        assert world.peer.ask(method_, f"/ui/act/{world.token()}").status in {404, 405}
    assert world.peer.get("/ui/act").status in {404, 401}

    assert rows_of(world) == before
    assert world.press(world.token()).status == 200


def test_a_page_keeps_its_address_to_itself(world):
    """No referrer, no cache, no index, no script of ours that would ask for a login."""
    world.asks()
    for answer, referrer in (
        (world.look(world.token()), "strict-origin"),
        (world.look("nothing"), "no-referrer"),
        (world.press(world.token()), "no-referrer"),
    ):
        assert answer.headers["Referrer-Policy"] == referrer
        assert answer.headers["Cache-Control"] == "no-store"
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert "<script" not in answer.text
        assert "WWW-Authenticate" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_page_of_another_origin_cannot_send_it(world, headers):
    """Also one that knows the link: it would act in the name of whoever is logged in."""
    world.asks()
    kind = {"Content-Type": FORM["Content-Type"]}

    assert world.press(world.token(), {**kind, **headers}).status == 403
    assert world.approval().approved is None
    assert world.press(world.token(), {**kind, "Origin": EXTERNAL}).status == 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"comment": "x" * 1001}, "at most 1000"), ({"model": "43"}, "has no meaning here")],
)
def test_a_form_that_is_not_ours_is_refused(world, fields, words):
    """A comment has an end, and nothing but the token says about what it is."""
    world.asks()
    answer = world.press(world.token(), fields=fields)

    assert (answer.status, words in answer.text) == (400, True)
    assert world.approval().approved is None


def test_a_subscriber_that_is_gone_lets_nobody_act(world):
    """Also while another replica still knows its secret."""
    world.asks()
    unknown = replace(world.history.policy_set, subscribers=())

    with pytest.raises(Ended, match=LinkEnd.POLICY_GONE.value):
        act_by_link(world.history.store, unknown, SAID, world.links()["approve"])


def ends(world, token, status, words):
    """Neither looking nor acting does anything, and both say why."""
    before = rows_of(world)
    for answer in (world.look(token), world.press(token)):
        assert answer.status == status
        assert words in answer.text
        assert "Nothing was changed" in answer.text
        assert token not in answer.text or len(token) < 20
    assert rows_of(world) == before


def gone(world, token, end):
    ends(world, token, 410, end.value)


def test_a_link_works_once(world):
    """Nor does the other link of the same message, whatever the first one said."""
    world.asks()
    approve, reject = world.token(), world.token("reject")
    assert world.press(approve).status == 200

    gone(world, approve, LinkEnd.USED)
    gone(world, reject, LinkEnd.USED)


def test_a_link_ends_with_its_time(world):
    """To the microsecond; and it lives no longer than the question."""
    world.asks()
    token, late = world.token(), seal(signing_key(SECRET), world.links(life=DAY)["approve"])
    world.history.clock.pass_(HOUR - timedelta(microseconds=1))
    assert world.look(token).status == 200
    world.history.clock.pass_(timedelta(microseconds=1))
    gone(world, token, LinkEnd.EXPIRED)

    assert world.look(late).status == 200
    world.history.clock.pass_(HOUR)
    gone(world, late, LinkEnd.EXPIRED)


def test_a_question_that_was_answered_otherwise(world):
    """By an operator, whose word a link does not change."""
    world.asks()
    world.operate("/models/42/reject")

    gone(world, world.token(), LinkEnd.ANSWERED)
    assert world.approval().actor == "ops"


def test_a_run_that_was_ordered_meanwhile(world):
    """It was what the question was about."""
    world.asks()
    world.operate("/models/42/retrain")

    gone(world, world.token(), LinkEnd.ANSWERED)


def test_a_question_that_is_asked_anew(world):
    """In the same episode: the old message's links do not answer it, the new one's do."""
    world.asks()
    old = seal(signing_key(SECRET), world.links(life=DAY)["approve"])
    long = world.token(expires_at=world.history.now() + DAY)
    world.history.clock.pass_(2 * HOUR)
    world.history.tick()
    assert world.approval().asked_at == world.history.now()

    gone(world, old, LinkEnd.EXPIRED)
    gone(world, long, LinkEnd.ASKED_ANEW)
    assert world.press(world.token()).status == 200


def test_a_link_of_a_clock_that_was_ahead(world):
    """It says what happened, and where the question can be answered all the same."""
    world.asks("43")
    sets_ahead(world.history, 2 * HOUR)
    world.asks()
    token, other = world.token(), world.links()["reject"]
    sets_back(world.history, 2 * HOUR)
    world.asks(starts_at=world.history.now().isoformat())

    gone(world, token, LinkEnd.CLOCK_SET_BACK)
    gone(world, seal(signing_key(SECRET), other), LinkEnd.CLOCK_SET_BACK)
    world.operate("/models/42/approve")
    assert world.approval().approved


def test_an_episode_that_is_over(world):
    """And the next one, which asks again."""
    world.asks()
    token = world.token(expires_at=world.history.now() + DAY)
    began = world.history.now()
    world.history.clock.pass_(MINUTE)
    world.asks(status="resolved", ends_at=world.history.now().isoformat())
    gone(world, token, LinkEnd.OVER)

    world.history.clock.pass_(7 * HOUR)
    world.asks(starts_at=world.history.now().isoformat())
    assert world.approval().episode_started_at > began
    gone(world, token, LinkEnd.OVER)


def test_a_model_that_was_forgotten(world):
    """Nothing of it is made by asking."""
    world.asks()
    token = world.token()
    world.asks(status="resolved", ends_at=world.history.now().isoformat())
    world.operate("/models/42/forget")

    gone(world, token, LinkEnd.FORGOTTEN)
    with world.history.store.view() as view:
        assert view.models.find("42") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("name: ask-first", "name: renamed"),
        lambda text: text.replace("expires: 1h}", "expires: 1h}\n    policies: [stormy]"),
    ],
    ids=["renamed", "not told of any more"],
)
def test_a_policy_that_is_gone(world, change):
    """From the configuration, or from what the subscriber is told of."""
    world.asks()
    token = world.token()
    world.reload(change(CONFIG))

    gone(world, token, LinkEnd.POLICY_GONE)


def test_a_storm_that_was_released_otherwise(world):
    """Or that calmed down by itself."""
    world.storms()
    token = world.token("release")
    world.operate("/release", policy="stormy")

    gone(world, token, LinkEnd.ANSWERED)


def test_a_storm_that_is_over(world):
    """What it held goes on by itself; the link lets nothing more go."""
    world.storms()
    token = world.token("release", expires_at=world.history.now() + DAY)
    moment = world.history.now().isoformat()
    world.deliver(entry("2", name="Gust", status="resolved", ends_at=moment))
    world.history.wait(HOUR, step=5 * MINUTE)
    assert len(world.history.target.starts) == 1

    gone(world, token, LinkEnd.ANSWERED)


def test_a_link_is_for_one_model_and_one_act(world):
    """Whatever else is signed, or put into its place."""
    world.asks()
    world.history.clock.pass_(MINUTE)
    world.asks("43")
    key = signing_key(SECRET)
    theirs = world.links()["approve"]
    assert theirs.model == "43"
    token, spoofed = seal(key, theirs), seal(signing_key(OTHER), theirs)
    version, _, signature = token.split(".")
    for other in (replace(theirs, model="42"), replace(theirs, act=LinkAct.REJECT)):
        ends(
            world,
            f"{version}.{seal(key, other).split('.')[1]}.{signature}",
            403,
            "not one of ours",
        )
    ends(world, spoofed, 403, "not one of ours")

    assert world.press(token).status == 200
    assert world.approval("42").approved is None


@pytest.mark.parametrize("token", ["x", "v1..", "a" * 5000, "v1.e30.AAAA", "%F0%9F%92%A9"])
def test_nonsense_is_no_link(world, token):
    """However long; and nothing says what was wrong with it."""
    ends(world, token, 403, "not one of ours")


def test_another_subscribers_secret_is_none(world):
    """Each signs for itself only."""
    world.asks()
    world.storms()
    forged = seal(signing_key(OTHER), replace(world.links()["release"], subscriber="chat"))
    ends(world, forged, 403, "not one of ours")
    own = seal(signing_key(OTHER), world.links("others")["release"])

    assert world.press(own).status == 200


def test_a_new_secret_ends_all_links(world):
    """At once, without a reload; those of others stay. While it is unreadable none is refused."""
    world.storms()
    token = world.token("release")
    own = seal(signing_key(OTHER), world.links("others")["release"])
    (world.folder / "chat").write_text("")
    assert world.look(token).status == 503
    assert world.look(own).status == 200
    (world.folder / "chat").write_text("whsec_" + b64encode(b"n" * 32).decode())

    ends(world, token, 403, "not one of ours")
    assert world.look(own).status == 200


def test_without_the_setting_there_are_no_links(world):
    """A reload takes them away, also those that were sent."""
    world.asks()
    token = world.token()
    world.reload(CONFIG.replace("    act_links: {secret_file: chat, expires: 1h}\n", ""))

    ends(world, token, 403, "not one of ours")


def used_at_once(world, links):
    """What came of each of these links, used while all wait for the same lock."""
    store, policy_set = world.history.store, world.history.policy_set

    def use(link):
        try:
            return act_by_link(store, policy_set, SAID, link)
        except Ended as ended:
            return ended.why

    with ThreadPoolExecutor(len(links)) as pool:
        with store.begin() as tx:
            tx.take_advisory_lock(AdvisoryLock.PAUSE)
            waiting = [pool.submit(use, link) for link in links]
        return [one.result() for one in waiting]


def test_two_at_the_same_moment_are_one(world):
    """Both wait for the same lock; who comes second finds it used."""
    world.asks()
    links = [world.links()["approve"], world.links()["reject"]] * 2
    found = used_at_once(world, links)

    assert found.count(LinkEnd.USED) == len(links) - 1
    assert len(world.history.log(source="operator")) == 1


def test_two_subscribers_at_the_same_moment_are_one(world):
    """Each has a message of its own; the question is one."""
    world.storms()
    links = [world.links("chat")["release"], world.links("others")["release"]]
    found = used_at_once(world, links)

    assert found.count(LinkEnd.ANSWERED) == 1


def test_a_use_is_remembered_as_long_as_its_link_could_live(world):
    """Then retention forgets it, as it does operators' answers."""
    world.asks()
    link = replace(world.links(life=DAY)["approve"], expires_at=world.history.now() + DAY)
    act_by_link(world.history.store, world.history.policy_set, SAID, link)

    def used():
        with world.history.store.view() as view:
            return view.act_links.question(link, view.now - 100 * DAY).used

    world.history.clock.pass_(DAY - MINUTE)
    forget(world.history.store, Ages(), lambda: False)
    assert used()
    world.history.clock.pass_(2 * MINUTE)
    forget(world.history.store, Ages(), lambda: False)
    assert not used()


def test_no_token_is_ever_written_down(tmp_path):
    """Neither in a process' log nor in what it tells of decisions, messages and rejections."""
    write_secrets(tmp_path)
    with serve(tmp_path, CONFIG) as peer:
        answer = peer.post("/webhook", post(entry()), token="webhook")
        assert answer.status == 200
        (row,) = peer.get("/announcements", token="operator").json()["announcements"]
        told = Announcement(
            id=row["id"],
            subscriber=row["subscriber"],
            kind=Kind(row["kind"]),
            model=row["model"],
            policy=row["policy"],
            at=parse_time(row["at"]),
            due_at=parse_time(row["at"]),
            data=row["data"],
        )
        tokens = [seal(signing_key(SECRET), link) for link in links_in(told, HOUR)]
        world = World(peer, None, tmp_path)
        for token, status in zip(tokens, (200, 410), strict=True):
            assert world.look(token).status == status
            world.look(f"{token}/x")
            world.press(token[:-1])
            world.press(token, {**FORM, "Sec-Fetch-Site": "cross-site"})
            assert world.press(token).status == status
            peer.post(f"/ui/act/{token}", post(entry("x")), token="webhook")
        said = [
            peer.get(path, token="operator").text
            for path in ("/decisions", "/announcements", "/rejections", "/metrics", "/dispatches")
        ]
        log = peer.log.read_text()

    assert '"operator_acted"' in log
    secrets = [token.rpartition(".")[2][:-1] for token in tokens]
    assert not [one for one in secrets for text in (*said, log) if one in text]


def test_what_is_sent_leads_to_the_page(world):
    """The maker's address is the one that is answered; signed at the moment of sending."""
    world.asks()
    maker = LinkMaker(secret_file=world.folder / "chat", life=HOUR, external_url=EXTERNAL)
    approve, reject = maker.links(world.told(), world.history.now())

    assert (approve.act, reject.act) == (LinkAct.APPROVE, LinkAct.REJECT)
    assert world.peer.get(urlsplit(approve.url).path).status == 200
    token = approve.url.rpartition("/")[2]
    assert unseal(token, {"chat": signing_key(SECRET)}).expires_at == approve.expires_at
    assert maker.links(world.told(), approve.expires_at) == ()
    (world.folder / "chat").unlink()
    assert maker.links(world.told(), world.history.now()) == ()


def test_what_is_exhausted_is_answered_too(world):
    """Retrained as often as allowed, and it still fires: one more run, or none."""
    world.reload(CONFIG.replace("mode: approve", "attempts: 1"))
    world.asks()
    world.history.run_to_its_end(RunState.SUCCEEDED)
    world.history.wait(8 * HOUR, step=HOUR)
    assert world.told().kind is Kind.EXHAUSTED

    token = world.token(expires_at=world.history.now() + HOUR)
    assert world.press(token).status == 200
    world.history.work()
    assert len(world.history.target.starts) == 2
