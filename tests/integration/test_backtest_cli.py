"""The command `backtest`: what it shows, writes, and says of what it can't use."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from receiver.backtest.files import save
from receiver.backtest.histories import Firing, history_of
from receiver.store.store import Store
from tests.commands import Peculiar
from tests.examples import alert, resolved
from tests.fakes import NOON, FakeTarget, HandClock
from tests.histories import History
from tests.processes import ROOT

HOUR = timedelta(hours=1)
FOLDER = ROOT / "examples" / "backtest"
CONFIG, ALERTS = str(FOLDER / "receiver.yaml"), str(FOLDER / "history.json")
EXAMPLE = ("--config", CONFIG, "--alerts", ALERTS, "--draws", "20")


@pytest.fixture
def run(cli):
    """Run the command."""
    return lambda *args: cli("backtest", *args)


def test_the_example_of_the_docs_is_what_the_command_prints(run):
    """Its numbers come from the files that stand beside it."""
    text = (ROOT / "docs" / "backtest.md").read_text()
    command, shown = re.search(r"```console\n\$ (.*?)\n(.*?)```", text, re.DOTALL).groups()
    args = command.replace("examples/backtest", str(FOLDER)).split()[2:]

    ended = run(*args)

    assert ended.code == 0, ended.err
    assert ended.out.strip() == shown.strip()


def test_everything_as_json(run):
    """Per rule and model: runs, money, bad hours and what held them; and the oracle's."""
    found = run(*EXAMPLE, "--cost", "12USD", "--bad-hour", "3", "-o", "json").json

    assert [one["name"] for one in found["results"]] == [
        "receiver.yaml",
        "every alert",
        "cooldown only",
    ]
    first = found["results"][0]
    assert first["draws"] == 20
    assert first["money"]["mean"] == pytest.approx(12 * first["runs"]["mean"])
    assert sum(first["held"].values()) == pytest.approx(first["bad_hours"]["mean"])
    assert len(first["models"]) == found["models"] == 6
    assert sum(one["runs"] for one in first["models"]) == pytest.approx(first["runs"]["mean"])
    cost = first["money"]["mean"] + 3 * first["bad_hours"]["mean"]
    assert first["cost"] == pytest.approx(cost)
    assert first["cost_to_oracle"] == pytest.approx(cost / found["oracle"]["cost"])
    assert all(one["cost_to_oracle"] >= 1 for one in found["results"])


def test_the_same_seed_tells_the_same(run):
    """And another one something else."""
    asked = (*EXAMPLE, "-o", "json")

    assert run(*asked).json == run(*asked).json
    assert run(*asked).json != run(*asked, "--seed", "2").json


def test_another_policy_beside_it(run, tmp_path):
    """And a sweep, whose Pareto line is marked."""
    other = tmp_path / "other.yaml"
    text = (FOLDER / "receiver.yaml").read_text()
    other.write_text(text + "    cooldown: 24h\n")

    rows = run(*EXAMPLE, "--against", str(other), "--sweep", "cooldown=1h,24h", "-o", "csv").rows

    by_name = {row["name"]: row for row in rows}
    assert list(by_name)[:2] == ["receiver.yaml", "other.yaml"]
    assert by_name["other.yaml"] == {**by_name["cooldown 24h"], "name": "other.yaml"}
    assert float(by_name["other.yaml"]["runs"]) < float(by_name["receiver.yaml"]["runs"])
    assert float(by_name["cooldown 1h"]["bad_hours"]) < float(by_name["other.yaml"]["bad_hours"])
    table = run(*EXAMPLE, "--sweep", "cooldown=1h,6h").out
    assert "cooldown 1h *" in table


class Tags(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"src", "href"}]


def test_the_report_is_one_file_that_needs_nothing(run, tmp_path):
    """A timeline per model; no script, no address, and strangers' text is only text."""
    labels = {"alertname": "HighModelMAE", "user_id": "m1", "pod": "<script>alert(1)</script>"}
    history = history_of(NOON, NOON + 72 * HOUR, [(labels, [Firing(NOON, None)])])
    save(history, tmp_path / "history.json")
    page = tmp_path / "report.html"

    ended = run(
        "--config", CONFIG, "--alerts", str(tmp_path / "history.json"), "--html", str(page)
    )

    assert ended.code == 0, ended.err
    read = Tags()
    read.feed(page.read_text())
    assert read.tags.count("svg") == 1
    assert "script" not in read.tags
    assert read.links == []
    assert "m1" in page.read_text()


def test_each_decision_can_be_kept(run, tmp_path):
    """As lines that are a history themselves: what was decided once can be replayed again."""
    kept = tmp_path / "decisions.ndjson"

    assert run(*EXAMPLE, "--decisions", str(kept)).code == 0

    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert {"triggered", "cooldown", "resolved"} <= {line["reason"] for line in lines}
    assert run("--config", CONFIG, "--alerts", str(kept), "--draws", "1").code == 0


def test_our_own_database(run, tmp_path, migrated):
    """What the log remembers, without a receiver; a missing file is told."""
    config = tmp_path / "receiver.yaml"
    config.write_text((FOLDER / "receiver.yaml").read_text())
    asked = ("--config", str(config), "--database", "--since", "2026-11-01T00:00:00Z")
    assert "there is no database" in run(*asked).err
    (tmp_path / "receiver.db").write_bytes(migrated.read_bytes())
    clock = HandClock()
    store = Store.open(f"sqlite:///{tmp_path}/receiver.db", clock)
    history = History(store, clock, FakeTarget())
    history.deliver(alert())
    clock.pass_(HOUR)
    beside = run(*asked)
    history.deliver(resolved(ends_at=clock.now()))
    store.close()

    found = run(*asked, "-o", "json").json

    assert found["bad_hours_untreated"] == 1
    assert beside.code == 1
    assert "export its log instead" in beside.err


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        ((), 2, "give one of --prometheus URL, --alerts FILE and --database"),
        (("--alerts", ALERTS, "--database"), 2, "give one of"),
        (("--alerts", CONFIG), 1, "neither JSON nor a JSON object a line"),
        (("--alerts", ALERTS, "--sweep", "colour=1"), 1, "write one of cooldown, settle"),
        (("--alerts", ALERTS, "--sweep", "cooldown=soon"), 1, "'soon' is not a duration"),
        (("--alerts", ALERTS, "--cost", "much"), 2, "write an amount and a unit, as 12USD"),
        (("--alerts", ALERTS, "--run-duration", "x"), 2, "--run-duration: 'x' is not a duration"),
        (("--database", "--since", "spring"), 2, "write 90d, 12h or 2026-11-22T09:14:00Z"),
        (("--prometheus", "http://127.0.0.1:1", "--since", "1h"), 4, "is unreachable"),
    ],
)
def test_what_it_can_t_use(run, args, code, told):
    """A sentence with the cure."""
    ended = run("--config", CONFIG, *args)

    assert ended.code == code
    assert told in ended.err


def test_policies_that_name_models_otherwise_are_not_compared(run, tmp_path):
    """They would be about other models."""
    other = tmp_path / "other.yaml"
    text = (FOLDER / "receiver.yaml").read_text()
    other.write_text(text.replace('name: "{user_id}", labels', 'name: "user-{user_id}", labels'))

    ended = run(*EXAMPLE, "--against", str(other))

    assert ended.code == 1
    assert "other.yaml: it names the model user-m0 where the first names m0" in ended.err


def test_a_page_of_grafana_is_no_prometheus(run):
    """It is told, with the option that names the address."""
    with Peculiar(200) as page:
        ended = run("--config", CONFIG, "--prometheus", page.url, "--since", "1h")

    assert ended.code == 1
    assert "answers, but not as Prometheus does (no JSON); see --prometheus" in ended.err


def test_a_configuration_that_is_not_valid(run, tmp_path):
    """All its problems, as `check-config` tells them."""
    (tmp_path / "bad.yaml").write_text("polices: []")

    ended = run("--config", str(tmp_path / "bad.yaml"), "--alerts", ALERTS)

    assert ended.code == 1
    assert "did you mean 'policies'?" in ended.err
