"""Readers that are limited to labels: how the configuration says so, and what it refuses."""

import pytest

from receiver.config import ConfigError, Role, load_config
from receiver.core.tenants import Tenant

POLICY = """\
targets: {retrain: {kfp: {pipeline: retrain.yaml}}}
policies:
  - {name: quality, target: retrain, match: ['alertname="HighModelMAE"'],
     model: {name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}}
"""
PROXY = "user_header: X-Forwarded-User, groups_header: X-Groups, trusted: [10.0.0.7]"
MINE = "labels: {user_id: user01}"


@pytest.fixture
def load(tmp_path):
    (tmp_path / "retrain.yaml").write_text("{}")
    (tmp_path / "token").write_text("a-long-secret\n")
    (tmp_path / "other").write_text("another-secret\n")

    def load(text):
        (tmp_path / "receiver.yaml").write_text(POLICY + text)
        return load_config(tmp_path / "receiver.yaml")

    return load


def test_tokens_and_groups_are_limited(load):
    """A reader's token by its labels, a group of the proxy under `tenants`."""
    config = load(
        f"auth: {{reader: [{{name: a, token_file: token, {MINE}}}, "
        "{name: b, token_file: other}],"
        f" proxy: {{{PROXY}, roles: {{reader: [platform]}}, tenants: {{t1: {{user_id: u1}}}}}}}}"
    )

    assert [token.tenant for token in config.auth[Role.READER]] == [
        Tenant.of({"user_id": "user01"}),
        None,
    ]
    assert config.proxy.tenants == {"t1": Tenant.of({"user_id": "u1"})}
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        (
            f"operator: [{{name: a, token_file: token, {MINE}}}]",
            "auth.operator[0].labels: limit readers only, and the role operator is for all "
            "models; leave them out, or move the token to auth.reader",
        ),
        (
            f"webhook: [{{name: a, token_file: token, {MINE}}}]",
            "auth.webhook[0].labels: limit readers only",
        ),
        (
            "reader: [{name: a, token_file: token, labels: {}}]",
            "auth.reader[0].labels: is empty, which limits to nothing; write {user_id: user01}",
        ),
        (
            "reader: [{name: a, token_file: token, labels: {user_id: ''}}]",
            "auth.reader[0].labels: 'user_id' lacks its other half",
        ),
        (
            "reader: [{name: a, token_file: token, labels: {'': x}}]",
            "auth.reader[0].labels: 'x' lacks its other half",
        ),
        (
            "reader: [{name: a, token_file: token, labels: {user_id: 7}}]",
            "auth.reader[0].labels.user_id: 7 is not a text; put it in quotes",
        ),
        (
            "reader: [{name: a, token_file: token, labels: {user: user01}}]",
            "auth.reader[0].labels.user: no policy has 'user' under model.labels, so no model has "
            "it; did you mean 'user_id'?",
        ),
        (
            f"proxy: {{{PROXY}, roles: {{}}, tenants: {{t1: {{user: u}}}}}}",
            "auth.proxy.tenants.t1.user: no policy has 'user'",
        ),
        (
            f"proxy: {{{PROXY}, roles: {{}}, tenants: {{t1: {{}}}}}}",
            "auth.proxy.tenants.t1: is empty",
        ),
        (
            f"proxy: {{{PROXY}, roles: {{reader: ['*']}}, tenants: {{t1: {{user_id: u}}}}}}",
            "auth.proxy.tenants.t1: limits nobody while roles lets '*' read everything; name the "
            "groups there that may, as in {reader: [platform]}",
        ),
        (
            f"proxy: {{{PROXY}, roles: {{operator: [t1]}}, tenants: {{t1: {{user_id: u}}}}}}",
            "auth.proxy.tenants.t1: limits nobody: the group reads everything by roles",
        ),
        (
            "proxy: {user_header: X-User, trusted: [10.0.0.7], roles: {}, "
            "tenants: {t1: {user_id: u}}}",
            "auth.proxy.groups_header: is missing",
        ),
    ],
)
def test_a_limit_that_limits_nothing_is_an_error(load, auth, problem):
    """Each with its place and its cure; nobody reads more than was meant."""
    with pytest.raises(ConfigError) as caught:
        load(f"auth: {{{auth}}}\n")

    assert any(one.startswith(problem) for one in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (
            "server: {metrics_open: true}\n"
            f"auth: {{reader: [{{name: a, token_file: token, {MINE}}}]}}",
            "server: metrics_open tells everybody the names of all models",
        ),
        (
            f"server: {{metrics_open: true}}\nauth: {{proxy: {{{PROXY}, roles: {{}}, "
            "tenants: {t1: {user_id: u}}}}",
            "server: metrics_open tells everybody the names of all models",
        ),
        (
            f"auth: {{reader: [{{name: a, token_file: token, {MINE}}}, "
            "{name: b, token_file: token, labels: {user_id: user02}}]}",
            "auth.reader[1]: a token with other labels is the same",
        ),
    ],
)
def test_what_a_tenant_would_see_anyway_is_warned_of(load, text, warning):
    """By an open door, or by a token that two have."""
    assert any(one.startswith(warning) for one in load(text).warnings)
