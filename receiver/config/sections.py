"""The file's sections: which settings there are, and their defaults."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from receiver.config.fields import (
    AnnotationName,
    BodySize,
    Duration,
    GithubUrl,
    HeaderName,
    KindName,
    Labels,
    Links,
    Literal,
    Match,
    ModeName,
    Name,
    Networks,
    PersonsName,
    Ref,
    Repository,
    Separator,
    Size,
    Span,
    Template,
    TenantLabels,
    Url,
    WhenSilencedName,
    Workflow,
)
from receiver.config.http_fields import (
    HttpBody,
    HttpUrl,
    Pointer,
    PointerOrHeader,
    RunIdTemplate,
    Words,
)
from receiver.config.restraint_fields import (
    AllowedHours,
    Amount,
    Attempts,
    Backoff,
    CostCaps,
    Location,
    RunCaps,
    Unit,
    WhenSpent,
)
from receiver.core.alerts import VALUE
from receiver.core.policies import APPROVAL_EXPIRY, Mode, WhenSilenced

MIB = 1024**2
LOCAL = "local"


class Section(BaseModel):
    """A mapping of the file: strict, and unknown settings are problems.

    The first of a field's `examples` is what a complaint about its absence tells to write.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class ServerSection(Section):
    """How we are reached."""

    external_url: Url | None = None
    max_body: BodySize = 10 * MIB
    metrics_open: bool = False


_PASSWORD = re.compile(r"(?<=://)([^:@/?]*):.*@|([?&][^=&]*(?:password|secret|key)[^=&]*)=[^&]*")


def mask_password(url: str) -> str:
    """Hide what is secret in a database's address."""
    return _PASSWORD.sub(lambda m: f"{m[2]}=***" if m[2] else f"{m[1]}:***@", url)


_VARIABLE = re.compile(
    r"\$(?:\([A-Za-z_]\w*\)|\{[A-Za-z_]\w*\})|(?<=[:/@])\$[A-Z_][A-Z0-9_]*(?=[@:/?]|$)"
)
"""A password may hold a `$`; all of one in capitals is the name of a variable."""


def check_storage_url(url: str) -> str:
    """Read the address of a storage. Raises `ValueError`, without its password."""
    if (variable := _VARIABLE.search(url)) is not None:
        raise ValueError(
            f"{variable[0]} is taken as it stands: nothing fills in variables here; write the "
            "address into a file and name it with url_file"
        )
    if url.startswith(("postgres://", "postgresql://")):
        return "postgresql+psycopg://" + url.partition("://")[2]
    if url.startswith("postgresql+psycopg://"):
        return url
    path = url.removeprefix("sqlite:///").partition("?")[0]
    if not url.startswith("sqlite:///") or not path or path.startswith((":memory:", "file:")):
        raise ValueError(
            f"{mask_password(url)!r} is not a storage; "
            "write sqlite:///receiver.db or postgresql+psycopg://HOST/DATABASE"
        )
    return url


StorageUrl = Annotated[str, AfterValidator(check_storage_url), PlainSerializer(mask_password)]


class StorageSection(Section):
    """Where decisions and dispatches are kept."""

    url: StorageUrl | None = None
    url_file: Literal | None = None
    min_free: Size = 64 * MIB
    network_filesystem: bool = False


class RetentionSection(Section):
    """How long the log keeps what."""

    decisions: Span = timedelta(days=90)
    skips: Span = timedelta(days=14)
    notifications: Span = timedelta(days=14)
    runs: Span = timedelta(days=400)
    announcements: Span = timedelta(days=14)


class TokenSection(Section):
    """One token of a role; a reader's may be limited to the models that have these labels."""

    name: PersonsName = Field(examples=["alertmanager"])
    token_file: Literal = Field(examples=["secrets/webhook"])
    labels: TenantLabels | None = None


class ProxyRolesSection(Section):
    """The groups whose members have a role; `*` is whoever the proxy lets in."""

    operator: list[str] = []
    reader: list[str] = []


class ProxySection(Section):
    """A proxy in front that logs people in (oauth2-proxy, Authelia, Authentik, Pomerium)."""

    user_header: HeaderName = Field(examples=["X-Forwarded-User"])
    groups_header: HeaderName | None = None
    groups_separator: Separator = ","
    roles: ProxyRolesSection = Field(examples=["{operator: [ml-on-call], reader: ['*']}"])
    tenants: dict[str, TenantLabels] | None = None
    trusted: Networks = Field(examples=["[10.0.0.7]"])


class AuthSection(Section):
    """Who may do what; a role that is missing or empty is closed."""

    webhook: list[TokenSection] = []
    operator: list[TokenSection] = []
    reader: list[TokenSection] = []
    proxy: ProxySection | None = None


def _digits(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


class AppSection(Section):
    """Credentials of a GitHub App's installation."""

    id: Annotated[Name, BeforeValidator(_digits)] = Field(examples=["123456"])
    installation_id: int = Field(examples=["7890123"])
    private_key_file: Literal = Field(examples=["secrets/github-app.pem"])


class FollowingSection(Section):
    """What every kind of target takes, beside its kind or within it."""

    lookup_window: Span | None = None
    run_timeout: Span | None = None
    ca_file: Literal | None = None


class GithubSection(FollowingSection):
    """A workflow on GitHub."""

    repository: Repository = Field(examples=["acme/models"])
    workflow: Workflow = Field(examples=["retrain-model.yaml"])
    ref: Ref = "main"
    token_file: Literal | None = None
    app: AppSection | None = None
    base_url: GithubUrl = "https://api.github.com"
    inputs: dict[str, Template] = {}


_KFP_PAGE = re.compile(r"/_/.*|/?\?.*|/?#.*|/apis(?:/.*)?$")


def _endpoint(value: object) -> object:
    if value == LOCAL:
        return value
    if isinstance(value, str) and not value.startswith(("http://", "https://")):
        raise ValueError(f"{value!r} is not an endpoint; write local or http://HOST:PORT")
    if isinstance(value, str) and (page := _KFP_PAGE.search(value)) is not None:
        api = f"{value[: page.start()]}/pipeline" if "/_/" in page[0] else value[: page.start()]
        raise ValueError(f"{value!r} is a page for people or a part of the API; write {api}")
    return value


class KfpSection(FollowingSection):
    """A Kubeflow pipeline, on a cluster or on this machine."""

    endpoint: Annotated[Literal, BeforeValidator(_endpoint)] = LOCAL
    pipeline: Literal = Field(examples=["pipelines/retrain.yaml"])
    pipeline_version: Literal | None = None
    enable_caching: bool | None = None
    experiment: Literal = "drift-retraining"
    namespace: Template | None = None
    service_account: Literal | None = None
    ui_url: Url | None = None
    token_file: Literal | None = None
    python: Literal | None = None
    parameters: dict[str, Template] = {}


class BasicSection(Section):
    """A name and a password, as HTTP's Basic authentication has them."""

    username: Literal = Field(examples=["retrain-receiver"])
    password_file: Literal = Field(examples=["secrets/alertmanager"])


class AnswerSection(Section):
    """What the answer to the order says of the run."""

    id: PointerOrHeader = Field(examples=["/id"])


class RunSection(Section):
    """How a run is called, and how it is asked for."""

    id: RunIdTemplate | None = None
    url: HttpUrl = Field(examples=["https://HOST/runs/{run_id}"])
    state: Pointer = Field(examples=["/state"])
    succeeded: Words = Field(examples=["[success]"])
    failed: Words = Field(examples=["[failed]"])
    cancelled: Words = []
    running: Words = []
    message: Pointer | None = None
    link: HttpUrl | None = None


class HttpSection(FollowingSection):
    """Any HTTP API that starts runs and shows them."""

    url: HttpUrl = Field(examples=["https://HOST/runs"])
    token_file: Literal | None = None
    basic: BasicSection | None = None
    secret_file: Literal | None = None
    inputs: dict[str, Template] = {}
    body: HttpBody | None = None
    idempotent: bool = False
    answer: AnswerSection | None = None
    run: RunSection = Field(
        examples=["{url: 'https://HOST/{run_id}', state: /state, succeeded: [ok], failed: [bad]}"]
    )
    check_url: HttpUrl | None = None


class TargetSection(FollowingSection):
    """What retrains a model: exactly one kind."""

    github: GithubSection | None = None
    kfp: KfpSection | None = None
    http: HttpSection | None = None


class ModelSection(Section):
    """What a policy's models are called."""

    name: Template = Field(examples=['"{user_id}"'])
    labels: Labels = Field(examples=['{user_id: "[a-z0-9-]{1,40}"}'])


class ApprovalSection(Section):
    """How long a question to a human, and then the approval, is good for."""

    expiry: Span = APPROVAL_EXPIRY


class WindowSection(Section):
    """The hours in which runs may start."""

    location: Location = "UTC"
    allow: AllowedHours = Field(examples=['["mon-fri 20:00-06:00", "sat,sun"]'])


class StormSection(Section):
    """How many models at once are suspicious."""

    models: Attempts = Field(examples=["5"])
    within: Span = timedelta(minutes=10)
    wait: Span = timedelta(minutes=2)
    calm: Span | None = None


class CostSection(Section):
    """What one run costs; with `run_time`, what a run of that length costs."""

    amount: Amount = Field(examples=["12.5"])
    unit: Unit = Field(examples=["EUR"])
    run_time: Span | None = None


class TotalBudgetSection(Section):
    """What the runs of all policies together may take."""

    runs: RunCaps = []
    in_flight: Attempts | None = None
    cost: CostCaps = []
    when_spent: WhenSpent = "hold"


class BudgetSection(TotalBudgetSection):
    """What the runs of one policy may take."""

    runs_per_model: RunCaps = []


class PolicySection(Section):
    """Which alerts retrain which target."""

    name: Name = Field(examples=["model-quality"])
    match: Match = Field(examples=["['alertname=~\"HighModelMAE|LowModelR2\"']"])
    model: ModelSection = Field(
        examples=['{name: "{user_id}", labels: {user_id: "[a-z0-9-]{1,40}"}}']
    )
    target: str = Field(examples=["the name of one of the targets"])
    mode: ModeName = Mode.AUTO
    cooldown: Span = timedelta(hours=6)
    settle: Duration = timedelta(hours=1)
    dedup_window: Span = timedelta(minutes=10)
    alert_expiry: Span = timedelta(hours=13)
    silenced: WhenSilencedName = WhenSilenced.HOLD
    value_annotation: AnnotationName = VALUE
    attempts: Attempts | None = None
    backoff: Backoff | None = None
    approval: ApprovalSection | None = None
    window: WindowSection | None = None
    storm: StormSection | None = None
    budget: BudgetSection | None = None
    cost: CostSection | None = None


class WebhookSection(Section):
    """A signed webhook (Standard Webhooks) that takes CloudEvents."""

    url: Url | None = None
    url_file: Literal | None = None
    secret_file: Literal = Field(examples=["secrets/webhook-signing"])
    ca_file: Literal | None = None


class SlackSection(Section):
    """An incoming webhook of Slack; its address is a secret."""

    url_file: Literal = Field(examples=["secrets/slack"])


class TeamsSection(Section):
    """A workflow of Teams that waits for a webhook request; its address is a secret."""

    url_file: Literal = Field(examples=["secrets/teams"])


class ActLinksSection(Section):
    """Signed links in messages that ask something: whoever has one may answer, once."""

    secret_file: Literal = Field(examples=["secrets/act-links"])
    expires: Span = timedelta(hours=1)


class AnnouncementSection(Section):
    """Who is told what: exactly one way to reach them."""

    name: Name = Field(examples=["on-call"])
    webhook: WebhookSection | None = None
    slack: SlackSection | None = None
    teams: TeamsSection | None = None
    act_links: ActLinksSection | None = None
    about: list[KindName] | None = None
    policies: list[str] | None = None


class PrometheusSection(Section):
    """The Prometheus whose rules make the alerts."""

    url: Url = Field(examples=["http://prometheus:9090"])
    token_file: Literal | None = None
    basic: BasicSection | None = None
    ca_file: Literal | None = None


class AlertmanagerSection(Section):
    """One Alertmanager that is asked which alerts fire."""

    name: Name = Field(examples=["main"])
    url: Url = Field(examples=["http://alertmanager:9093"])
    receiver: Literal = Field(examples=["the name of Alertmanager's receiver that posts to us"])
    poll: Span = timedelta(minutes=1)
    token_file: Literal | None = None
    basic: BasicSection | None = None
    ca_file: Literal | None = None


class SourcesSection(Section):
    """Who is asked whether an alert still fires."""

    confirm_within: Span = timedelta(minutes=5)
    alertmanagers: list[AlertmanagerSection] = []
    prometheus: PrometheusSection | None = None


class FileSection(Section):
    """The whole file."""

    server: ServerSection = ServerSection()
    storage: StorageSection = StorageSection()
    retention: RetentionSection = RetentionSection()
    auth: AuthSection | None = None
    budget: TotalBudgetSection | None = None
    sources: SourcesSection | None = None
    links: Links = {}
    targets: dict[Name, TargetSection] = {}
    policies: list[PolicySection] = []
    announcements: list[AnnouncementSection] = []
