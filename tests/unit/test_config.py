import json
import os
import re
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiver.config import Config, ConfigError, Role, TokenFile, load_config
from receiver.config.sections import FileSection, PolicySection, mask_password
from receiver.core.budgets import Cost
from receiver.core.policies import Mode, Policy
from receiver.core.storms import Storm
from receiver.core.targets import TargetKind
from receiver.secret_files import LARGEST_SECRET, LARGEST_TEXT, read_secret

FIVE_LINES = """\
targets: {retrain: {kfp: {pipeline: retrain.yaml}}}
policies:
  - {name: quality, target: retrain, match: ['alertname="HighModelMAE"'],
     model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}}
"""

GITHUB = "github: {repository: acme/models, workflow: retrain.yaml, token_file: token"

PEM = "-----BEGIN RSA PRIVATE KEY-----\n"


@pytest.fixture
def load(tmp_path):
    (tmp_path / "retrain.yaml").write_text("{}")
    (tmp_path / "token").write_text("a-long-secret\n")
    (tmp_path / "key.pem").write_text(PEM)

    def load(text, *, odd=b""):
        (tmp_path / "odd").write_bytes(odd)
        (tmp_path / "receiver.yaml").write_text(text)
        return load_config(tmp_path / "receiver.yaml", environment=tmp_path / ".venv")

    return load


@pytest.fixture
def problems(load):
    def problems(text):
        with pytest.raises(ConfigError) as caught:
            load(text)
        return list(caught.value.problems)

    return problems


def test_a_configuration_needs_five_lines(load, tmp_path):
    """A target and a policy are enough; everything else has a default."""
    config = load(FIVE_LINES)

    target = config.targets["retrain"]
    (policy,) = config.policies
    assert target.target.kind is TargetKind.KFP_LOCAL
    assert target.target.place == {
        "endpoint": "local",
        "pipeline": str(tmp_path / "retrain.yaml"),
        "experiment": "drift-retraining",
    }
    assert target.lookup_window == timedelta(seconds=30)
    assert target.run_timeout == timedelta(hours=24)
    assert policy.mode is Mode.AUTO
    assert policy.matches({"alertname": "HighModelMAE"})
    assert policy.identity["user_id"].accepts("42")


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "policies:\ntargets:\nserver:\n"])
def test_nothing_is_required(load, tmp_path, text):
    """An empty file is a valid configuration, and says what it means."""
    config = load(text)

    assert config.policies == ()
    assert config.targets == {}
    assert config.auth is None
    assert config.server.external_url is None
    assert config.server.max_body == 10 * 1024**2
    assert config.server.metrics_open is False
    assert config.storage.url == f"sqlite:///{tmp_path}/receiver.db"
    assert config.storage.sqlite_path == tmp_path / "receiver.db"
    assert config.storage.min_free == 64 * 1024**2
    assert config.storage.network_filesystem is False
    assert config.retention.decisions == timedelta(days=90)
    assert config.retention.skips == timedelta(days=14)
    assert config.retention.notifications == timedelta(days=14)
    assert config.warnings == ("policies: there are none, so every alert will be unmatched",)


def test_defaults_of_policies_are_those_of_core():
    """The two places that tell them never drift apart."""
    told = {name: field.default for name, field in PolicySection.model_fields.items()}
    core = Policy("p", (), "{a}", {}, "t")

    for name in ("mode", "cooldown", "settle", "dedup_window", "alert_expiry"):
        assert told[name] == getattr(core, name)


def test_every_setting_arrives(load, tmp_path):
    """What the file says is what the program gets, paths absolute."""
    config = load("""
server: {external_url: "https://retrain.example.com/", max_body: 1MB, metrics_open: true}
storage: {url: sqlite:///data/x.db, min_free: 0, network_filesystem: true}
retention: {decisions: 1w, skips: 1d12h, notifications: 1h}
auth: {webhook: [{name: am, token_file: token}]}
targets:
  workflow:
    github:
      repository: acme/models
      workflow: 42
      ref: dev
      base_url: http://127.0.0.1:9/api/v3
      app: {id: 7, installation_id: 8, private_key_file: key.pem}
      ca_file: key.pem
      lookup_window: 4m
      inputs: {user_id: "u-{user_id}", n: 3, f: 1.5, yes_: true}
  cluster:
    kfp: {endpoint: "http://kfp:8888", pipeline: uploaded, namespace: "ns-{user_id}",
          service_account: runner, ui_url: "http://ui", token_file: token}
    run_timeout: 2h
policies:
  - name: quality
    match: ['alertname="A"', '{severity!="info", x=~"y"}']
    model: {name: "m-{user_id}", labels: {user_id: "[a-z]+", "model.name": "x"}}
    target: workflow
    mode: observe
    cooldown: 1h30m
    settle: 0s
    dedup_window: 1m
    alert_expiry: 2d
""")

    workflow, cluster = config.targets["workflow"], config.targets["cluster"]
    (policy,) = config.policies
    assert config.server.external_url == "https://retrain.example.com"
    assert config.server.max_body == 1_000_000
    assert config.storage.sqlite_path == tmp_path / "data/x.db"
    assert config.retention.skips == timedelta(hours=36)
    assert config.auth == {
        Role.WEBHOOK: (TokenFile("am", tmp_path / "token"),),
        Role.OPERATOR: (),
        Role.READER: (),
    }
    assert workflow.target.place == {
        "base_url": "http://127.0.0.1:9/api/v3",
        "repository": "acme/models",
        "workflow": "42",
        "ref": "dev",
    }
    assert workflow.target.inputs == {
        "user_id": "u-{user_id}",
        "n": "3",
        "f": "1.5",
        "yes_": "true",
    }
    assert (workflow.app.id, workflow.app.installation_id) == ("7", 8)
    assert workflow.app.private_key_file == workflow.ca_file == tmp_path / "key.pem"
    assert workflow.token_file is None
    assert workflow.lookup_window == timedelta(minutes=4)
    assert cluster.target.kind is TargetKind.KFP
    assert cluster.target.place == {
        "endpoint": "http://kfp:8888",
        "pipeline": "uploaded",
        "experiment": "drift-retraining",
        "namespace": "ns-{user_id}",
        "service_account": "runner",
        "ui_url": "http://ui",
    }
    assert cluster.token_file == tmp_path / "token"
    assert (cluster.lookup_window, cluster.run_timeout) == (
        timedelta(seconds=180),
        timedelta(hours=2),
    )
    assert policy.mode is Mode.OBSERVE
    assert [str(matcher) for matcher in policy.matchers] == [
        'alertname="A"',
        'severity!="info"',
        'x=~"y"',
    ]
    assert policy.cooldown == timedelta(minutes=90)
    assert policy.settle == timedelta(0)
    assert policy.dedup_window == timedelta(minutes=1)
    assert policy.alert_expiry == timedelta(days=2)


def test_all_problems_are_told_at_once_in_the_files_order(load, tmp_path):
    """One look at the answer is enough to mend the whole file."""
    with pytest.raises(ConfigError) as caught:
        load("""
policies:
  - name: quality
    match: ['alertname']
    cooldown: 6 hours
    cooldwon: 6h
    target: nowhere
    model: {name: "{user}", labels: {user_id: "[a-z]+"}}
server: {external_url: ftp://x}
targets:
  retrain: {kfp: {pipeline: missing.yaml}}
""")

    assert (
        str(caught.value)
        == f"""\
receiver.yaml is not valid:
  policies[0].match[0]: 'alertname' needs =, !=, =~ or !~ after alertname; \
write alertname="HighModelMAE" or user_id=~"a|b"
  policies[0].cooldown: '6 hours' is not a duration; write 30m, 6h or 2d
  policies[0].cooldwon: unknown setting; did you mean 'cooldown'?
  policies[0].target: unknown target 'nowhere'; known here: retrain
  policies[0].model.name: {{user}} is not among model.labels; did you mean 'user_id'?
  server.external_url: 'ftp://x' is not an address; write https://HOST or http://HOST:PORT
  targets.retrain.kfp.pipeline: there is no readable file '{tmp_path}/missing.yaml'; \
relative paths start at the configuration's folder"""
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # The text itself.
        ("a: [", "line 1, column 5: YAML can't read this: while parsing a flow node, expected"),
        ("a: 'b", "line 1, column 6: YAML can't read this: while scanning a quoted scalar"),
        ("\tb: 1", "line 1, column 1: YAML can't read this: while scanning for the next token"),
        ("a: *b", "line 1, column 4: YAML can't read this: found undefined alias"),
        ("a: 1\n---\nb: 2", "YAML can't read this: expected a single document"),
        ("a: !!python/object:x 1", "could not determine a constructor"),
        ("? [a]\n: 1", "found unhashable key"),
        ("a: 2026-99-99", "YAML can't read a value: month must be in 1..12; put it in quotes"),
        ("a: \x07", "YAML forbids character 3, U+0007; remove it"),
        ("[" * 500, "nested too deeply"),
        ("- a", "the file must be a mapping"),
        ("text", "the file must be a mapping"),
        (
            "server: {max_body: 1}\nserver: {max_body: 2}",
            "line 2, column 1: 'server' is written twice, first in line 1; remove one",
        ),
        # Unknown settings and wrong kinds of values.
        ("polices: []", "polices: unknown setting; did you mean 'policies'?"),
        ("x: 1", "x: unknown setting; known here: server, storage, retention, auth, budget, "),
        ("1: 1", "[1]: 1 is not a text; put the name in quotes"),
        ("server: {max_bod: 1}", "server.max_bod: unknown setting; did you mean 'max_body'?"),
        ("server: 5", "server: 5 is not a mapping; write settings as"),
        ("server: {metrics_open: 'yes'}", "server.metrics_open: 'yes' is neither true nor false"),
        ("server: {external_url: 5}", "server.external_url: 5 is not a text; put it in quotes"),
        ("server: {external_url: [a]}", "server.external_url: a list is not a text"),
        ("targets: []", "targets: this is not a mapping"),
        ("policies: {}", "policies: this is not a list; put it in [ ] or behind dashes"),
        ("policies: [x]", "policies[0]: 'x' is not a mapping"),
        # Numbers.
        ("server: {max_body: lots}", "server.max_body: 'lots' is not a size; write 10MiB"),
        ("server: {max_body: -1}", "server.max_body: -1 is not a size"),
        ("server: {max_body: true}", "server.max_body: True is not a size"),
        ("server: {max_body: 33MiB}", "server.max_body: 34603008 bytes are more than we can hold"),
        (
            "server: {max_body: 999999999999999GiB}",
            "are more than we can hold in memory at once; write at most 32MiB",
        ),
        ("server: {max_body: 0}", "server.max_body: 0 is too small"),
        ("retention: {skips: 0s}", "retention.skips: '0s' is too short"),
        ("retention: {skips: 14}", "retention.skips: 14 is not a duration; write 30m, 6h or 2d"),
        ("retention: {skips: }", "retention.skips: None is not a duration"),
        # Addresses.
        ("server: {external_url: 'http://'}", "server.external_url: 'http://' is not an address"),
        ("server: {external_url: 'http://[x'}", "is not an address"),
        ("server: {external_url: 'http://u:p@h'}", "passwords belong into files"),
        ("server: {external_url: 'http://h?x=1'}", "holds more than host and path"),
        # Storage.
        (
            "storage: {url: 'mysql://u:pw@h/d'}",
            "storage.url: 'mysql://u:***@h/d' is not a storage",
        ),
        (
            "storage: {url: 'sqlite://'}",
            "storage.url: 'sqlite://' is not a storage; write sqlite:",
        ),
        ("storage: {url: 'sqlite:///:memory:'}", "is not a storage"),
        (
            "storage: {url: 'sqlite:///a.db', url_file: token}",
            "storage: has both url and url_file",
        ),
        ("storage: {url_file: token}", "storage.url_file: 'a-long-secret' is not a storage"),
        ("storage: {url_file: nope}", "storage.url_file: can't read"),
        (
            "storage: {url: 'postgresql://h/d'}\ntargets: {t: {kfp: {pipeline: retrain.yaml}}}",
            "targets.t.kfp.endpoint: local pipelines need SQLite storage",
        ),
        # Auth.
        ("auth: {writer: []}", "auth.writer: unknown setting; known here: webhook, operator, rea"),
        (
            "auth: {webhook: [{name: a}]}",
            "auth.webhook[0].token_file: is missing; write token_fil",
        ),
        (
            "auth: {webhook: [{name: a, token_file: nope}]}",
            "auth.webhook[0].token_file: can't read",
        ),
        ("auth: {webhook: [{name: a, token_file: .}]}", "Is a directory"),
        (
            "auth: {webhook: [{name: a, token_file: /dev/zero}]}",
            "token_file: '/dev/zero' is a device; write the path of a regular file",
        ),
        (
            f"targets: {{t: {{{GITHUB.replace(': token', ': /dev/zero')}}}}}}}",
            "targets.t.github.token_file: '/dev/zero' is a device",
        ),
        (
            f"targets: {{t: {{{GITHUB}, ca_file: /dev/zero}}}}}}",
            "targets.t.github.ca_file: '/dev/zero' is a device",
        ),
        ("storage: {url_file: /dev/zero}", "storage.url_file: '/dev/zero' is a device"),
        ("auth: {webhook: [{name: a, token_file: empty}]}", "empty' is empty; write the secret"),
        ("auth: {webhook: [{name: a, token_file: two}]}", "two' holds more than one line or word"),
        ("auth: {webhook: [{name: a, token_file: bytes}]}", "bytes' is no text"),
        (
            "auth: {reader: [{name: a b, token_file: token}]}",
            "auth.reader[0].name: 'a b' is not a ",
        ),
        (
            "auth: {operator: [{name: configuration, token_file: token}]}",
            "auth.operator[0].name: 'configuration' is what the log calls acts that no person "
            "does; write another, such as the team's",
        ),
        (
            "auth: {reader: [{name: Anonymous, token_file: token}]}",
            "auth.reader[0].name: 'Anonymous' is what the log calls",
        ),
        (
            "auth: {reader: [{name: a, token_file: token}, {name: a, token_file: token}]}",
            "auth.reader[1].name: 'a' is there already; write another",
        ),
        # Targets.
        ("targets: {a b: {kfp: {pipeline: retrain.yaml}}}", "targets['a b']: 'a b' is not a name"),
        ("targets: {t: {}}", "targets.t: has none of github, kfp and http; write one of them"),
        (
            "targets: {t: {kfp: }}",
            "targets.t: has none of github, kfp and http; write one of them",
        ),
        ("targets: {t: 5}", "targets.t: 5 is not a mapping"),
        (
            f"targets: {{t: {{{GITHUB}}}, kfp: {{pipeline: x}}}}}}",
            "targets.t: has both github and kfp; make two targets of them",
        ),
        (
            "targets: {t: {github: {token: x}}}",
            "github.token: unknown setting; did you mean 'token_",
        ),
        (
            "targets: {t: {github: {}}}",
            "github.repository: is missing; write repository: acme/models",
        ),
        (
            "targets: {t: {github: {}}}",
            "targets.t.github: has no credentials; write token_file or a",
        ),
        (f"targets: {{t: {{{GITHUB}, app: {{}}}}}}}}", "has both token_file and app; keep one"),
        (
            f"targets: {{t: {{{GITHUB}, ref: 1.10}}}}}}",
            "github.ref: 1.1 is not a text; put it in qu",
        ),
        (f"targets: {{t: {{{GITHUB}, ref: ' '}}}}}}", "github.ref: ' ' is empty or has spaces"),
        (
            f"targets: {{t: {{{GITHUB}, ref: '{{u}}'}}}}}}",
            "github.ref: '{u}' must be the same for eve",
        ),
        (f"targets: {{t: {{{GITHUB}, base_url: '{{u}}'}}}}}}", "'{u}' must be the same for every"),
        (
            f"targets: {{t: {{{GITHUB}, inputs: {{a: {{u}}}}}}}}}}",
            "inputs.a: YAML takes text in braces",
        ),
        (f"targets: {{t: {{{GITHUB}, inputs: {{a: }}}}}}}}", "inputs.a: nothing is not a text"),
        (
            f"targets: {{t: {{{GITHUB}, inputs: {{a: '{{'}}}}}}}}",
            "'{' has a brace without its partn",
        ),
        (f"targets: {{t: {{{GITHUB}, inputs: {{a: '{{}}'}}}}}}}}", "'{}' has empty braces"),
        (
            f"targets: {{t: {{{GITHUB}, inputs: {{a: '{{u!r}}'}}}}}}}}",
            "may only hold plain fields",
        ),
        (
            f"targets: {{t: {{{GITHUB}, inputs: {{dispatch_id: x}}}}}}}}",
            "is sent with every run anyway",
        ),
        (f"targets: {{t: {{{GITHUB}, ca_file: token}}}}}}", "t.github.ca_file: '"),
        (f"targets: {{t: {{{GITHUB}}}, ca_file: token}}}}", "t.ca_file: '"),
        (
            f"targets: {{t: {{{GITHUB}, run_timeout: 1h}}, run_timeout: 1h}}}}",
            "targets.t.run_timeout: is also in github; keep one of them",
        ),
        (
            "targets: {t: {github: {repository: acme}}}",
            "'acme' is not a repository; write OWNER/NAM",
        ),
        (
            "targets: {t: {github: {workflow: a/b.yml}}}",
            "'a/b.yml' is not a workflow; write its file",
        ),
        ("targets: {t: {github: {token_file: nope}}}", "t.github.token_file: can't read"),
        ("targets: {t: {github: {app: {private_key_file: token}}}}", "token' is not in PEM"),
        ("targets: {t: {github: {app: {id: x y}}}}", "t.github.app.id: 'x y' is not a name"),
        ("targets: {t: {github: {app: {installation_id: x}}}}", "_id: 'x' is not a whole number"),
        ("targets: {t: {kfp: {endpoint: 'h:8888', pipeline: x}}}", "'h:8888' is not an endpoint"),
        ("targets: {t: {kfp: {endpoint: 5, pipeline: x}}}", "kfp.endpoint: 5 is not a text"),
        ("targets: {t: {kfp: {pipeline: uploaded}}}", "t.kfp.pipeline: there is no readable file"),
        (
            "targets: {t: {kfp: {endpoint: 'http://h', pipeline: x.yaml}}}",
            "there is no readable file",
        ),
        (
            "targets: {t: {kfp: {pipeline: retrain.yaml, python: x}}}",
            "kfp.python: there is no progra",
        ),
        (
            "targets: {t: {kfp: {endpoint: 'http://h', pipeline: x, token_file: nope}}}",
            "targets.t.kfp.token_file: can't read",
        ),
    ],
)
def test_a_problem_is_told_with_place_and_cure(problems, tmp_path, text, problem):
    """Each complaint is one line that says where, what, and usually what to write."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text("a-long-secret\nanother-secret\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xff")

    told = problems(text)

    assert any(problem in line for line in told), told
    assert not any("\n" in line for line in told)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("match: []", "match: is empty and would take every alert; write ['alertname"),
        ("match: ['{}']", "match: is empty and would take every alert"),
        ("match: alertname=x", "match: 'alertname=x' is not a list"),
        (
            "match: ['a=~\"(?!b)\"']",
            "match[0]: '(?!b)' is not a regular expression of Alertmanager",
        ),
        ("name: a b", "name: 'a b' is not a name; write letters, digits and . _ : @ - only"),
        ("name: 5", "name: 5 is not a text; put it in quotes"),
        ("target: retrian", "target: unknown target 'retrian'; did you mean 'retrain'?"),
        ("mode: on", "mode: True is not a mode; write observe, approve or auto"),
        ("attempts: 0", "attempts: 0 is not a number of runs; write 3"),
        ("attempts: yes", "attempts: True is not a number of runs; write 3"),
        ("attempts: '3'", "attempts: '3' is not a number of runs; write 3"),
        ("attempts: 1001", "attempts: 1001 is not a number of runs; write 3"),
        ("backoff: 0.5", "backoff: 0.5 is not a factor; write 2"),
        ("backoff: yes", "backoff: True is not a factor; write 2"),
        ("backoff: .nan", "backoff: nan is not a factor; write 2"),
        ("backoff: x2", "backoff: 'x2' is not a factor; write 2"),
        ("approval: 24h", "approval: '24h' is not a mapping"),
        ("approval: {expiry: 0s}", "approval.expiry: '0s' is too short"),
        ("window: nights", "window: 'nights' is not a mapping"),
        ("window: {}", 'window.allow: is missing; write allow: ["mon-fri 20:00-06:00"'),
        ("window: {allow: []}", "window.allow: is empty, so that no run could ever start"),
        ("window: {allow: ['']}", "window.allow[0]: '' is not a window; write mon-fri 20:00-"),
        ("window: {allow: [mon 8-9]}", "window.allow[0]: 'mon 8-9' is not a window; write mon"),
        ("window: {allow: [mon 23:00-24:30]}", "window.allow[0]: 'mon 23:00-24:30' is not a wi"),
        ("window: {allow: ['moon']}", "window.allow[0]: 'moon' in 'moon' is not a day; write mon"),
        ("window: {allow: ['a-b-c']}", "window.allow[0]: 'a-b-c' in 'a-b-c' is not a day"),
        ("window: {allow: ['mon-tue-wed']}", "window.allow[0]: 'mon-tue-wed' in 'mon-tue-wed'"),
        ("window: {allow: ['08:00-08:00']}", "window.allow[0]: '08:00-08:00' begins and ends at"),
        (
            "window: {allow: [daily], location: Europe/Berlim}",
            "window.location: 'Europe/Berlim' is not a time zone; did you mean 'Europe/Berlin'?",
        ),
        (
            "window: {allow: [daily], location: ../../etc/passwd}",
            "window.location: '../../etc/passwd' is not a time zone; ",
        ),
        ("window: {allow: [daily], zone: UTC}", "window.zone: unknown setting; known here: loc"),
        ("budget: {runs: 4}", "budget.runs: 4 is not a list"),
        ("budget: {runs: 4 a day}", "budget.runs[0]: '4 a day' is not a number of runs in a time"),
        ("budget: {runs: 0 in 1d}", "budget.runs[0]: '0 in 1d' is not a number of runs in a time"),
        ("budget: {runs: 4 in 0s}", "budget.runs[0]: '4 in 0s' has no length; write a duration"),
        ("budget: {runs: 4 in 1x}", "budget.runs[0]: '1x' is not a duration"),
        ("budget: {runs: 4 in 500d}", "budget.runs: looks back 500d, but retention.runs forgets"),
        ("budget: {runs_per_model: [1 in 401d]}", "budget.runs_per_model: looks back 401d, but"),
        ("budget: {in_flight: 0}", "budget.in_flight: 0 is not a number of runs"),
        ("budget: {cost: 500 in 30d}", "budget.cost[0]: '500 in 30d' is not an amount in a time"),
        ("budget: {cost: 0 EUR in 30d}", "budget.cost[0]: '0 EUR in 30d' is not an amount in a"),
        (
            "budget: {cost: 5 EUR in 30d}",
            "budget.cost[0]: nobody knows what a run costs; give the",
        ),
        (
            "budget: {cost: 5 EUR in 30d}, cost: {amount: 1, unit: USD}",
            "budget.cost[0]: counts EUR, but a run costs USD; write the same unit",
        ),
        (
            "budget: {cost: 5 EUR in 30d}, cost: {amount: 6, unit: EUR}",
            "budget.cost[0]: is less than the 6 EUR of one run; write more",
        ),
        ("budget: {cost: 5 EUR in 30d}, cost: {amount: 6}", "cost.unit: is missing; write unit"),
        ("budget: {when_spent: wait}", "budget.when_spent: 'wait' is neither; write hold, or ask"),
        ("budget: {run: 4 in 1d}", "budget.run: unknown setting; did you mean 'runs'?"),
        ("cost: {amount: -1, unit: EUR}", "cost.amount: -1 is not an amount; write a number"),
        ("cost: {amount: yes, unit: EUR}", "cost.amount: True is not an amount; write a number"),
        ("cost: {amount: 1, unit: a b}", "cost.unit: 'a b' is not a unit; write one word"),
        ("storm: 5", "storm: 5 is not a mapping"),
        ("storm: {}", "storm.models: is missing; write models: 5"),
        ("storm: {models: 0}", "storm.models: 0 is not a number"),
        ("storm: {models: 5, wait: 0s}", "storm.wait: '0s' is too short"),
        ("storm: {models: 5, with: 1m}", "storm.with: unknown setting; did you mean 'within'?"),
        ("approval: {expires: 1h}", "approval.expires: unknown setting; did you mean 'expiry'?"),
        ("cooldown: 0s", "cooldown: '0s' is too short"),
        ("dedup_window: 0m", "dedup_window: '0s' is too short"),
        ("alert_expiry: -1h", "alert_expiry: '-1h' is not a duration"),
        (
            "model: {name: {u}, labels: {u: x}}",
            "model.name: YAML takes text in braces for a mapping",
        ),
        ("model: {name: '{u}', labels: {}}", "model.labels: is empty; name the labels"),
        ("model: {name: '{u}'}", "model.labels: is missing; write labels: {user_id: "),
        (
            "model: {name: '{u}', labels: {u: '[a'}}",
            "model.labels.u: '[a' is not a pattern: missing ]",
        ),
        (
            "model: {name: '{u}', labels: {u: '(?!a)b'}}",
            "model.labels.u: '(?!a)b' is not a pattern",
        ),
        (
            "model: {name: '{u}', labels: {u: '(?=a)'}}",
            "model.labels.u: '(?=a)' is not",
        ),
        (
            "model: {name: '{u}', labels: {alertname: x}}",
            "model.labels: alertname can't name a model",
        ),
        ("model: {name: '{u}', labels: {value: x}}", "model.labels: value is the alert's number"),
        ("model: {name: 'm', labels: {u: x}}", "model.name: 'm' is the same for every alert"),
        (
            "model: {name: '{v}', labels: {u: x}}",
            "model.name: {v} is not among model.labels; known",
        ),
        ("model: {name: 'a+{u}', labels: {u: x}}", "model.name: 'a+' can't be in a model's name"),
        ("model: {name: '{u}/', labels: {u: x}}", "model.name: '{u}/' never gives a valid name"),
        (
            "model: {name: 'a/../{u}', labels: {u: x}}",
            "model.name: 'a/../{u}' never gives a valid name",
        ),
        (
            "model: {name: '{n}-{u}', labels: {n: '[a-z0-9-]+', u: '[a-z0-9-]{1,40}'}}",
            "model.name: '{n}-{u}' gives two models one name: (n=a-b, u=c) and (n=a, u=b-c) are "
            "both 'a-b-c'; write '{n}.{u}', or take what joins them out of one of the patterns",
        ),
        (
            "model: {name: '{u}-{model_version}', "
            "labels: {u: '[a-z-]+', model_version: '[a-z-]+'}}",
            "model.name: '{u}-{model_version}' gives two models one name: (u=a-b, "
            "model_version=c) and (u=a, model_version=b-c) are both 'a-b-c'; write "
            "'{u}.{model_version}', or take what joins them out of one of the patterns; "
            "model_version changes with each retraining, which then makes a new model",
        ),
        (
            "model: {name: '{n}-{u}', labels: {n: '.+', u: '.+'}}",
            "model.name: '{n}-{u}' gives two models one name: (n=a-b, u=c) and (n=a, u=b-c) are "
            "both 'a-b-c'; take what joins them out of one of the patterns",
        ),
        (
            "model: {name: '{u', labels: {u: x}}",
            "model.name: '{u' has a brace without its partner",
        ),
        ("model: x", "model: 'x' is not a mapping"),
    ],
)
def test_a_policys_problem_is_told_with_place_and_cure(problems, setting, problem):
    """Whatever is wrong with one policy, the place says which."""
    text = FIVE_LINES.replace("policies:\n", f"policies:\n  - {{{setting}}}\n")

    told = problems(text)

    assert any(line.startswith(f"policies[0].{problem}") for line in told), told


@pytest.mark.parametrize(
    ("budget", "problem"),
    [
        (
            "{runs: 9 in 500d}",
            "budget.runs: looks back 500d, but retention.runs forgets after 400d",
        ),
        (
            "{cost: 9 EUR in 1d}",
            "budget.cost[0]: nobody knows what a run costs; give a policy cost",
        ),
        (
            "{runs_per_model: 4 in 7d}",
            "budget.runs_per_model: unknown setting; known here: ",
        ),
    ],
)
def test_a_total_budgets_problem_is_told_with_place_and_cure(problems, budget, problem):
    """It counts the runs of all policies."""
    told = problems(f"budget: {budget}\n{FIVE_LINES}")

    assert any(line.startswith(problem) for line in told), told


def test_a_total_budgets_unit_is_that_of_every_policy(problems):
    """Two currencies can't be added."""
    priced = FIVE_LINES.replace("name: quality,", "name: quality, cost: {amount: 1, unit: USD},")

    assert problems(f"budget: {{cost: 9 EUR in 1d}}\n{priced}") == [
        "budget.cost[0]: counts EUR, but a run costs USD; write the same unit"
    ]


def test_every_setting_of_the_rungs_below_cooldown_arrives(load):
    """Limits in the file's order, a policy's own before those of all."""
    rungs = """, mode: approve, approval: {expiry: 2h}, attempts: 3, backoff: 1.5,
     window: {location: Europe/Berlin, allow: ["mon-fri 20:00-06:00"]},
     storm: {models: 5, within: 15m, wait: 3m},
     budget: {runs_per_model: 4 in 7d, runs: [20 in 1d, 50 in 7d], in_flight: 2,
              cost: 500 EUR in 30d, when_spent: ask},
     cost: {amount: 12.5, unit: EUR, run_time: 2h}}
"""
    text = FIVE_LINES.rstrip().removesuffix("}") + rungs

    (policy,) = load(f"budget: {{runs: 30 in 1d, in_flight: 5}}\n{text}").policies

    assert (policy.mode, policy.attempts, policy.backoff) == (Mode.APPROVE, 3, 1.5)
    assert policy.approval_expiry == timedelta(hours=2)
    assert str(policy.window) == "mon,tue,wed,thu,fri 20:00-06:00 in Europe/Berlin"
    assert [str(limit) for limit in policy.limits] == [
        "4 runs in 7d per model",
        "20 runs in 1d per policy",
        "50 runs in 7d per policy",
        "2 in flight per policy",
        "500 EUR in 30d per policy",
        "30 runs in 1d in total",
        "5 in flight in total",
    ]
    quarter = timedelta(minutes=15)
    assert policy.storm == Storm(5, quarter, timedelta(minutes=3), calm=quarter)
    assert [limit.asks for limit in policy.limits] == [True] * 5 + [False] * 2
    assert policy.cost == Cost(12.5, "EUR", timedelta(hours=2))


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (
            f"{GITHUB}, inputs: {{a: '{{usr_id}}'}}}}",
            "github.inputs.a: {usr_id} is not among the mod",
        ),
        (
            "kfp: {pipeline: retrain.yaml, parameters: {a: '{x}'}}",
            "kfp.parameters.a: {x} is not amo",
        ),
        (
            "kfp: {pipeline: retrain.yaml, namespace: '{x}'}",
            "kfp.namespace: {x} is not among the m",
        ),
        (
            "kfp: {pipeline: retrain.yaml, namespace: '{value}'}",
            "kfp.namespace: {value} is not amon",
        ),
        # Told although another input can't be read.
        (
            f"{GITHUB}, inputs: {{a: '{{x}}', b: [1]}}}}",
            "github.inputs.a: {x} is not among the model",
        ),
    ],
)
def test_a_run_is_told_only_what_its_policy_knows(problems, target, problem):
    """Fields come from the identity labels; a place never from the alert's value."""
    told = problems(FIVE_LINES.replace("kfp: {pipeline: retrain.yaml}", target))

    assert told[0].startswith(f"targets.retrain.{problem}")
    assert "el.labels of policy 'quality'; " in told[0]


def test_labels_that_cannot_be_read_accuse_no_input(problems):
    """One mistake is told once, not again at everything that hangs on it."""
    inputs = "kfp: {pipeline: retrain.yaml, parameters: {a: '{user_id}'}}"
    text = FIVE_LINES.replace("kfp: {pipeline: retrain.yaml}", inputs)

    (told,) = problems(text.replace("[a-z0-9-]", "[a-z"))

    assert told.startswith("policies[0].model.labels.user_id: ")


def test_value_and_alertname_are_known_to_every_input(load):
    """They come with the alert, so no policy has to name them."""
    inputs = "kfp: {pipeline: retrain.yaml, parameters: {a: '{value}', b: '{alertname}'}}"

    config = load(FIVE_LINES.replace("kfp: {pipeline: retrain.yaml}", inputs))

    assert config.targets["retrain"].target.inputs == {"a": "{value}", "b": "{alertname}"}


def test_policies_have_names_of_their_own(problems):
    """Decisions name their policy, so two can't share a name."""
    (told,) = problems(FIVE_LINES + FIVE_LINES.partition("policies:\n")[2])

    assert told == "policies[1].name: 'quality' is there already; write another name"


def test_github_takes_no_more_than_25_inputs(problems):
    """One of them is ours."""
    inputs = ", ".join(f"i{number}: x" for number in range(25))

    (told,) = problems(f"targets: {{t: {{{GITHUB}, inputs: {{{inputs}}}}}}}}}")

    assert told.startswith("targets.t.github.inputs: has 25 entries, but GitHub takes 25")


def test_a_missing_file_is_a_problem_like_others(tmp_path):
    """Whoever loads a configuration has one kind of error to expect."""
    with pytest.raises(
        ConfigError, match=r"^gone.yaml is not valid:\n  the file can't be read: No"
    ):
        load_config(tmp_path / "gone.yaml")


def test_a_file_that_is_not_utf8_is_a_problem(tmp_path):
    """The complaint says where the text ends to be one."""
    (tmp_path / "receiver.yaml").write_bytes(b"a: \xff")

    with pytest.raises(ConfigError, match="byte 3 is not UTF-8"):
        load_config(tmp_path / "receiver.yaml")


def test_local_pipelines_ignore_what_only_a_cluster_needs(load):
    """From laptop to cluster it is one changed line: the token may be missing here."""
    config = load(FIVE_LINES.replace("retrain.yaml}", "retrain.yaml, token_file: /no/such/token}"))

    assert config.targets["retrain"].token_file == Path("/no/such/token")


def test_the_interpreter_with_the_kfp_sdk_is_found(load, tmp_path):
    """Beside the running environment, or where the file says; otherwise there is a warning."""
    without = load(FIVE_LINES)
    python = tmp_path / ".venv-kfp/bin/python"
    python.parent.mkdir(parents=True)
    python.touch(mode=0o755)
    found = load(FIVE_LINES)
    written = load(
        FIVE_LINES.replace("retrain.yaml}", "retrain.yaml, python: .venv-kfp/bin/python}")
    )

    assert without.targets["retrain"].python is None
    assert without.warnings[0].startswith("targets.retrain: no .venv-kfp was found")
    assert found.targets["retrain"].python == python
    assert written.targets["retrain"].python == python
    assert found.warnings == written.warnings == ()


def test_a_folders_braces_are_no_fields(tmp_path):
    """A place is a template, but a path in it means itself."""
    (tmp_path / "{a}").mkdir()
    file = tmp_path / "{a}" / "receiver.yaml"
    file.write_text(FIVE_LINES)
    (tmp_path / "{a}" / "retrain.yaml").write_text("{}")

    place = load_config(file).targets["retrain"].target.place

    assert place["pipeline"] == str(tmp_path / "{{a}}" / "retrain.yaml")


def test_an_auth_heading_alone_closes_everything(load):
    """Whoever comments out the tokens does not open the door."""
    assert load("auth:\n").auth == dict.fromkeys(Role, ())


def test_local_pipelines_need_sqlite_wherever_the_address_is_written(load, problems, tmp_path):
    """Other replicas can't see a run on this machine; a cluster's runs they can."""
    (tmp_path / "dsn").write_text("postgresql://u:p@host/db\n")
    storage = "storage: {url_file: dsn}\n"

    (told,) = problems(storage + "targets: {t: {kfp: {pipeline: retrain.yaml}}}")
    assert "need SQLite storage" in told

    load(storage + "targets: {t: {kfp: {endpoint: 'http://kfp', pipeline: uploaded}}}")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_databases_password_stays_out_of_the_text(load, tmp_path, scheme):
    """The text is stored and shown; the address with its password is only used."""
    (tmp_path / "dsn").write_text(f"{scheme}://user:hunter2@host/db\n")
    written = load(f"storage: {{url: '{scheme}://user:hunter2@host/db'}}")
    in_file = load("storage: {url_file: dsn}")

    assert written.storage == in_file.storage
    assert written.storage.url == "postgresql+psycopg://user:hunter2@host/db"
    assert written.storage.sqlite_path is None
    assert "user:***@host" in written.text
    assert "hunter2" not in written.text + in_file.text


@pytest.mark.parametrize(
    ("storage", "content", "same"),
    [
        ("url_file: dsn", "postgresql://user:hunter3@host/db", True),
        ("url_file: dsn", "postgresql://another:hunter2@host/db", True),
        ("url_file: dsn", "postgresql://user:hunter2@elsewhere/db", False),
        ("url_file: dsn", "postgresql://user:hunter2@host/another", False),
        ("url_file: dsn, min_free: 1MiB", "postgresql://user:hunter2@host/db", False),
        ("url_file: moved", "postgresql://user:hunter2@host/db", False),
        ("url: 'postgresql://user:hunter2@host/db'", "", False),
    ],
)
def test_only_a_login_in_the_same_file_changes_without_a_restart(
    load, tmp_path, storage, content, same
):
    """It is read for each new connection; all else is read at the start."""
    (tmp_path / "dsn").write_text("postgresql://user:hunter2@host/db")
    before = load("storage: {url_file: dsn}").storage
    for name in ("dsn", "moved"):
        (tmp_path / name).write_text(content)

    assert load(f"storage: {{{storage}}}").storage.same_store(before) is same


def test_a_problem_never_shows_a_secret(problems, tmp_path):
    """Alertmanager, CI and terminals keep what they were told."""
    (tmp_path / "dsn").write_text("mysql://user:hunter2@host/db")

    (told,) = problems("storage: {url_file: dsn}")

    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://u:p@ss@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:p@h/d", "postgresql://:***@h/d"),
        ("postgresql://u@h/d?password=x&a=b", "postgresql://u@h/d?password=***&a=b"),
        ("postgresql://h/d?sslpassword=x", "postgresql://h/d?sslpassword=***"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_passwords_are_masked_wherever_they_stand(url, masked):
    """In the address and among its options."""
    assert mask_password(url) == masked


def test_equal_configurations_have_equal_hashes(load, tmp_path):
    """Order, comments, spelt-out defaults and the folder change nothing; the rest does."""
    first = load(FIVE_LINES)
    spelt = load(
        "# the same\n"
        + FIVE_LINES.replace(
            "retrain.yaml}", "retrain.yaml, endpoint: local}, run_timeout: 1440m"
        ).replace("target: retrain", "cooldown: 360m, target: retrain")
        + "storage: {url: 'sqlite:///receiver.db'}\nserver: {max_body: 10485760}\n"
    )
    other = load(FIVE_LINES.replace("target: retrain", "cooldown: 5h, target: retrain"))
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved/retrain.yaml").touch()
    (tmp_path / "moved/other.yaml").write_text(FIVE_LINES)
    moved = load_config(tmp_path / "moved/other.yaml")

    assert first.text == spelt.text == moved.text
    assert first.hash == spelt.hash == moved.hash
    assert re.fullmatch("[0-9a-f]{64}", first.hash)
    assert other.hash != first.hash
    FileSection.model_validate(json.loads(first.text) | {"policies": []})


@pytest.mark.parametrize(
    ("setting", "warning"),
    [
        ("cooldown: 5m", "cooldown: is shorter than 10m"),
        ("dedup_window: 7h", "dedup_window: is longer than the cooldown"),
        ("alert_expiry: 4h", "alert_expiry: is within Alertmanager's repeat_interval"),
        ("approval: {expiry: 2h}", "approval: has no effect: nothing of this policy asks"),
        ("storm: {models: 5, wait: 29s}", "storm.wait: is shorter than 30s"),
        ("match: ['a!=\"b\"']", "match: takes alerts that lack all of its labels"),
        ("match: [\"a='b'\"]", "match: the quotes of 'b' are part of the value"),
        (
            "model: {name: '{pod}', labels: {pod: '[a-z]+'}}",
            "model.labels.pod: changes when a pod",
        ),
        ("model: {name: '{u}', labels: {u: '.+'}}", "model.labels.u: '.+' lets any text through"),
        (r"model: {name: '{u}', labels: {u: '[^/]+'}}", "model.labels.u: '[^/]+' lets any text"),
        (
            r"model: {name: '{u}', labels: {u: '[a-z\s]+'}}",
            r"model.labels.u: '[a-z\\s]+' lets 'a b\n' through",
        ),
        (
            "model: {name: '{u}', labels: {u: '[a-z]+', p: '[a-z./]+'}}",
            "model.labels.p: is not in model.name",
        ),
        (
            "model: {name: '{u}', labels: {u: '[a-z]+', run_id: '[a-z]+'}}",
            "model.labels.run_id: changes with each retraining",
        ),
    ],
)
def test_a_dangerous_policy_is_warned_of(load, setting, warning):
    """It is legal, so it loads; whoever starts it is told."""
    policy = {
        "name": "quality",
        "target": "retrain",
        "match": """['alertname="A"']""",
        "model": "{name: '{u}', labels: {u: '[a-z]+'}}",
    }
    name, _, value = setting.partition(": ")
    policy[name] = value
    lines = "".join(f"    {key}: {value}\n" for key, value in policy.items())

    config = load(f"{FIVE_LINES.partition('policies')[0]}policies:\n  -\n{lines}")

    assert config.warnings[0].startswith(f"policies[0].{warning}")


NO_ENVIRONMENT = (
    "targets.retrain: no .venv-kfp was found, so no run can start; set python or run 'make demo' "
    "once"
)


@pytest.mark.parametrize(
    ("labels", "happens"),
    [
        ("pod exported_pod kubernetes_pod_name pod_template_hash hostname uid", "a pod moves"),
        ("exported_instance k8s.pod.name label_pod __meta_kubernetes_pod_name", "a pod moves"),
        ("__replica__ ruler_replica prometheus_replica", "copies of the same alert"),
        ("model_version modelVersion version run_id runId", "with each retraining"),
        ("revision_name mlflow.run_id exported_model_version", "with each retraining"),
        ("registered_model_version app_kubernetes_io_version git_hash", "with each retraining"),
        ("model_version_number image_sha container_image dag_run_id", "with each retraining"),
        ("instance_ip host_ip node_id __address__", "a pod moves"),
        ("cluster_replica", "copies of the same alert"),
        ("request request_id trace_id x_request_id", "new for each request"),
        ("severity priority severity_level page_severity", "two runs at once"),
        (
            "feature feature_name feature_names le quantile drift_method",
            "one bad model would become many",
        ),
        ("alertgroup rule_name", "names the rule"),
    ],
)
def test_a_label_that_makes_models_is_warned_of(load, labels, happens):
    """In each of its spellings, with what would happen."""
    for label in labels.split():
        model = f"{{name: '{{{label}}}', labels: {{{label}: '[a-z]+'}}}}"
        text = FIVE_LINES.partition("policies")[0]
        text += f"policies: [{{name: q, match: ['alertname=A'], model: {model}, target: retrain}}]"

        warning, *others = load(text).warnings

        assert others == [NO_ENVIRONMENT]
        assert label in warning.partition(": ")[0]
        assert happens in warning


@pytest.mark.parametrize(
    "label", ["job", "monitor", "user_id", "model_name", "exported_job", "ship"]
)
def test_a_label_that_a_team_may_call_its_models_by_is_no_danger(load, label):
    """Nobody is warned of what may be right."""
    model = f"{{name: '{{{label}}}', labels: {{{label}: '[A-Za-z0-9._/-]+'}}}}"
    text = FIVE_LINES.partition("policies")[0]
    text += f"policies: [{{name: q, match: ['alertname=A'], model: {model}, target: retrain}}]"

    assert load(text).warnings == (NO_ENVIRONMENT,)


def test_a_text_beside_the_name_is_not_checked_as_one(load):
    """A label that is not in the name goes to a run as it is."""
    model = "{name: '{u}', labels: {u: '[a-z]+', folder: '[a-z./]+'}}"
    text = FIVE_LINES.partition("policies")[0]
    text += f"policies: [{{name: q, match: ['alertname=A'], model: {model}, target: retrain}}]"

    unnamed, upwards, _ = load(text).warnings
    place = "policies[0].model.labels.folder: "
    assert unnamed.startswith(f"{place}is not in model.name")
    assert upwards == f"{place}'[a-z./]+' lets '../..' through; write what a value may be"


def test_a_policy_that_is_never_reached_is_warned_of(load):
    """The first policy of the file wins, so a narrower one must come first."""
    wide = FIVE_LINES.partition("policies:\n")[2]
    narrow = wide.replace("quality", "narrow").replace("MAE\"'", "MAE\"', 'a=\"b\"'")

    assert load(FIVE_LINES + narrow).warnings[0] == (
        "policies[1].match: is never reached: policy 'quality' takes all of its alerts"
    )


def test_dangerous_targets_and_tokens_are_warned_of(load, tmp_path):
    """Short windows start runs twice; short and shared tokens open doors."""
    (tmp_path / "short").write_text("abc")

    config = load(f"""
targets: {{t: {{{GITHUB}, lookup_window: 5s}}}}}}
auth:
  webhook: [{{name: a, token_file: token}}, {{name: b, token_file: short}}]
  operator: [{{name: c, token_file: token}}]
""")

    assert config.warnings[1:] == (
        "targets.t: no policy uses it",
        (
            "targets.t: lookup_window 5s may end before the target lists a run, "
            "which would then be started twice"
        ),
        "auth.webhook[1]: the token has fewer than 8 characters; use a long one",
        "auth.operator[0]: a token of webhook is the same; each role needs its own",
    )


@pytest.mark.parametrize(
    ("written", "left_out"),
    [
        ("\ufeff{}\n", "a byte order mark"),
        ("{}\r\n", "Windows' line ends"),
        ("\ufeff{}\r\n", "a byte order mark and Windows' line ends"),
    ],
)
@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("auth.webhook[0].token_file", "auth: {webhook: [{name: a, token_file: odd}]}"),
        ("targets.t", f"targets: {{t: {{{GITHUB.replace(': token', ': odd')}}}}}}}"),
        (
            "announcements[0]",
            "announcements: [{name: a, webhook: {url: 'https://h', secret_file: odd}}]",
        ),
    ],
)
def test_what_an_editor_left_in_a_secret_is_warned_of(load, written, left_out, place, text):
    """We leave it out; another program that reads the same file might not."""
    secret = written.format("whsec_" + "MfKQ" * 8).encode()

    warnings = load(text, odd=secret).warnings

    assert any(
        warning.startswith(f"{place}: ") and f"odd' holds {left_out}, which" in warning
        for warning in warnings
    )


def test_a_file_of_the_largest_size_is_read(tmp_path):
    """The bound is above everything that is meant."""
    file = tmp_path / "file"
    file.write_text("x" * LARGEST_SECRET)

    assert len(read_secret(file)) == LARGEST_SECRET


def test_a_pipe_will_do_for_the_configuration(tmp_path):
    """`check-config --config /dev/stdin` reads what another program renders."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("policies: []\n",))
    writer.start()

    assert load_config(pipe).policies == ()

    writer.join()


@pytest.mark.parametrize("size", [LARGEST_TEXT + 1, None])
def test_a_configuration_without_end_is_a_problem(tmp_path, size):
    """Neither a huge file nor a device holds the start."""
    file = tmp_path / "receiver.yaml"
    if size is None:
        file.symlink_to("/dev/zero")
    else:
        file.write_text("#" * size)

    with pytest.raises(ConfigError, match=r"a device|more than 1048576 bytes"):
        load_config(file)


def test_the_example_of_the_design_is_valid(load, tmp_path):
    """What the documentation shows can be copied."""
    for name in ("webhook", "ops", "read", "github"):
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / name).write_text(f"secret-of-{name}")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/retrain.yaml").touch()

    config = load("""
server: {external_url: https://retrain.example.com, max_body: 10MiB, metrics_open: false}
storage:
  url: sqlite:///receiver.db            # or url_file
  min_free: 64MiB
  network_filesystem: false
retention: {decisions: 90d, skips: 14d, notifications: 14d}
auth:
  webhook:  [{name: alertmanager, token_file: secrets/webhook}]
  operator: [{name: ops, token_file: secrets/ops}]
  reader:   [{name: dashboards, token_file: secrets/read}]
targets:
  retrain-workflow:
    github:
      repository: acme/models
      workflow: retrain-model.yaml
      ref: main
      token_file: secrets/github
      base_url: https://api.github.com
      inputs: {user_id: "{user_id}", drift_score: "{value}", reason: "{alertname}"}
  retrain-pipeline:
    kfp:
      endpoint: local
      pipeline: pipelines/retrain.yaml
      experiment: drift-retraining
      namespace: "kubeflow-{user_id}"
      token_file: /var/run/secrets/kubeflow/pipelines/token
      parameters: {user_id: "{user_id}", drift_score: "{value}"}
policies:
  - name: model-quality
    match: ['alertname=~"HighModelMAE|LowModelR2"']
    model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}
    target: retrain-pipeline
    mode: auto
    cooldown: 6h
    settle: 1h
    dedup_window: 10m
    alert_expiry: 13h
""")

    assert list(config.targets) == ["retrain-workflow", "retrain-pipeline"]
    assert not any(warning.startswith(("policies", "auth")) for warning in config.warnings)


words = [
    *("server", "targets", "policies", "t", "github", "kfp", "name", "model", "auth", "match"),
    *("labels", "inputs", "target", "webhook", "token_file", "storage", "url"),
]
yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(words), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(yaml_values)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_file_loads_or_tells_its_problems(load, value):
    """No file makes the program fall over."""
    with suppress(ConfigError):
        assert isinstance(load(json.dumps(value)), Config)


def github(**settings):
    settings = {
        "repository": "acme/models",
        "workflow": "retrain.yaml",
        "token_file": "token",
        **settings,
    }
    written = ", ".join(f"{name}: {json.dumps(value)}" for name, value in settings.items())
    return FIVE_LINES.replace("kfp: {pipeline: retrain.yaml}", f"github: {{{written}}}")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"base_url": "https://github.com"}, "is not GitHub's API; write https://api.github.com"),
        ({"base_url": "https://www.github.com/acme/models"}, "write https://api.github.com"),
        ({"base_url": "https://api.github.com/repos"}, "write https://api.github.com"),
        ({"base_url": "http://api.github.com"}, "write https://api.github.com"),
        ({"base_url": "https://acme.ghe.com"}, "write https://api.acme.ghe.com"),
        ({"base_url": "https://ghe.x.com/api/graphql"}, "write https://ghe.x.com/api/v3"),
        ({"repository": "acme/models.git"}, "write it without .git"),
        ({"workflow": "Retrain"}, "what a workflow is called, not its file"),
        ({"workflow": "Retrain the model"}, "what a workflow is called, not its file"),
        ({"ref": "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"}, "branches and tags only"),
        ({"ref": "$GIT_REF"}, "$GIT_REF is taken as it stands"),
        ({"ref": "$(GIT_REF)"}, "$(GIT_REF) is taken as it stands"),
        ({"token_file": "$HOME/token"}, "$HOME is taken as it stands"),
    ],
)
def test_what_can_never_work_at_github_is_refused(problems, settings, problem):
    """Each was valid once, and failed with the first alert."""
    (found,) = [each for each in problems(github(**settings)) if "can't read" not in each]

    assert problem in found


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "https://api.acme.ghe.com"},
        {"base_url": "https://api.github.com/"},
        {"base_url": "https://ghe.example.com/api/v3"},
        {"base_url": "http://127.0.0.1:9"},
        {"repository": "acme/models.github.io"},
        {"workflow": "my.retrain.yml"},
        {"workflow": 7},
        {"ref": "refs/heads/main"},
        {"ref": "v1.2"},
        {"ref": "7fd1a60"},
    ],
)
def test_what_works_at_github_is_accepted(load, settings):
    """Neither refused nor warned of."""
    assert load(github(**settings)).warnings == ()


def test_an_enterprise_server_without_its_path_is_warned_of(load):
    """Its name says nothing about what answers there; ten inputs are too many for an old one."""
    inputs = {f"i{number}": "{user_id}" for number in range(10)}

    first, second = load(github(base_url="https://ghe.example.com", inputs=inputs)).warnings
    assert first.endswith("the API of an Enterprise Server is at https://ghe.example.com/api/v3")
    assert "an Enterprise Server before 3.20 takes 10; remove some" in second


@pytest.mark.parametrize(
    ("endpoint", "write"),
    [
        ("https://kf.example.com/_/pipeline/", "https://kf.example.com/pipeline"),
        ("http://x:8888/#/runs", "http://x:8888"),
        ("http://x:8888/pipeline/?ns=a", "http://x:8888/pipeline"),
        ("http://x:8888/apis/v2beta1", "http://x:8888"),
    ],
)
def test_a_page_of_kubeflow_is_no_endpoint(problems, endpoint, write):
    """What a browser shows is not where runs are ordered."""
    kfp = f"kfp: {{endpoint: '{endpoint}', pipeline: retrain}}"
    (found,) = problems(FIVE_LINES.replace("kfp: {pipeline: retrain.yaml}", kfp))

    assert found.endswith(f"write {write}")


@pytest.mark.parametrize("variable", ["$(PGPASSWORD)", "${PGPASSWORD}", "$PGPASSWORD"])
def test_a_variable_in_the_storage_is_refused(problems, variable):
    """Nobody fills it in; the address goes into a file."""
    (found,) = problems(f"storage: {{url: 'postgresql://app:{variable}@db/x'}}\n{FIVE_LINES}")

    assert "name it with url_file" in found


def test_a_password_may_hold_what_begins_a_variable(load):
    """Only a name in capitals alone is taken for one."""
    load("storage: {url: 'postgresql://app:pa$word@db/x'}\n" + github())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "-----BEGIN RSA PRIVATE KEY-----\\nMII\\n-----END RSA PRIVATE KEY-----",
            "write real ones",
        ),
        ("-----BEGIN CERTIFICATE-----\nMII", "holds a certificate, not a private key"),
        ("-----BEGIN PUBLIC KEY-----\nMII", "holds a public key, not a private key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII", "is encrypted"),
    ],
)
def test_what_is_no_private_key_is_refused(problems, tmp_path, content, problem):
    """An App signs with the key that GitHub gave."""
    app = "{id: 1, installation_id: 2, private_key_file: odd}"
    text = github().replace('"token"', "x").replace("token_file: x", f"app: {app}")
    (tmp_path / "odd").write_text(content)

    (tmp_path / "receiver.yaml").write_text(text)

    with pytest.raises(ConfigError, match=problem):
        load_config(tmp_path / "receiver.yaml")


def test_a_merged_setting_can_be_overridden(load):
    """That is what merge keys are for; a key that is really written twice is still told."""
    text = FIVE_LINES.replace("  - {name", "  - &base {name") + "  - {<<: *base, name: other}\n"

    assert [policy.name for policy in load(text).policies] == ["quality", "other"]


def test_each_problem_knows_its_place(load):
    """Programs find the line by it."""
    with pytest.raises(ConfigError) as caught:
        load("policies: [{name: 1}]\nserver: {external_url: x}\n")

    assert caught.value.places[0] == ("policies", 0, "name")
    assert caught.value.places[-1] == ("server", "external_url")


def test_files_may_be_elsewhere(load, tmp_path):
    """A file can be examined without the secrets that it names."""
    text = github(token_file="nowhere") + "storage: {url_file: nowhere}\n"
    with pytest.raises(ConfigError):
        load(text)

    assert load_config(tmp_path / "receiver.yaml", with_files=False).policies


def test_only_an_uploaded_pipeline_has_versions(tmp_path):
    """A compiled package is what it is."""
    (tmp_path / "retrain.yaml").write_text("{}")
    kfp = "endpoint: http://kfp:8888, pipeline_version: v2, pipeline: "
    file = tmp_path / "receiver.yaml"

    file.write_text(f"targets: {{a: {{kfp: {{{kfp}retrain.yaml}}}}}}\n")
    with pytest.raises(ConfigError, match="pipeline_version: is for an uploaded pipeline"):
        load_config(file)

    file.write_text(f"targets: {{a: {{kfp: {{{kfp}retrain, enable_caching: false}}}}}}\n")
    place = load_config(file).targets["a"].target.place
    assert (place["pipeline_version"], place["enable_caching"]) == ("v2", "false")
