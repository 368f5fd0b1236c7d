"""The configuration as the rest of the program sees it: plain values, paths absolute."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from receiver.core.announcements import Subscriber
from receiver.core.policies import Policy
from receiver.core.targets import Target
from receiver.core.tenants import Tenant


class Role(StrEnum):
    """What a token may do."""

    WEBHOOK = "webhook"  # post notifications
    OPERATOR = "operator"  # read and act
    READER = "reader"  # read


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How we are reached.

    Attributes:
        external_url: What people write into a browser, without a slash at its end; None if unset.
        max_body: Longest accepted body, in bytes.
        metrics_open: Whether `/metrics` answers without a token.

    """

    external_url: str | None
    max_body: int
    metrics_open: bool


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where decisions and dispatches are kept.

    Attributes:
        url: For SQLAlchemy, a SQLite path absolute; may hold a password.
        min_free: Free bytes on the disk below which intake answers 503.
        network_filesystem: Whether the SQLite file may lie on NFS and the like.
        url_file: Where the URL was read, if not in the configuration itself.

    """

    url: str
    min_free: int
    network_filesystem: bool
    url_file: Path | None = field(default=None, compare=False)

    def same_store(self, other: "StorageSettings") -> bool:
        """Whether both are one store to a running receiver, which reads a file's login again."""
        same = _without_credentials(self) == _without_credentials(other)
        return same and self.url_file == other.url_file

    @property
    def sqlite_path(self) -> Path | None:
        """The SQLite file; None for PostgreSQL."""
        kind, _, path = self.url.partition(":///")
        return Path(path.partition("?")[0]) if kind.startswith("sqlite") else None


def _without_credentials(storage: StorageSettings) -> StorageSettings:
    if storage.url_file is None:
        return storage
    return replace(storage, url=re.sub(r"//[^/]*@", "//", storage.url))


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long the log keeps what."""

    decisions: timedelta
    skips: timedelta
    notifications: timedelta
    runs: timedelta
    announcements: timedelta


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A token that opens a role: its name for the log, and the file that holds it.

    Attributes:
        tenant: Whose models a reader's token shows; None for all.

    """

    name: str
    path: Path
    tenant: Tenant | None = None


@dataclass(frozen=True, slots=True)
class GithubApp:
    """Credentials of a GitHub App's installation."""

    id: str
    installation_id: int
    private_key_file: Path


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """A target, and what its dispatcher needs besides.

    Attributes:
        target: The core's part: name, kind, place and inputs.
        lookup_window: How long a started run may be missing from the target's listing.
        run_timeout: A run that is older is handed to a human.
        token_file: Holds the token; None with `app`, or if the target needs none.
        app: A GitHub App instead of a token.
        ca_file: Certificates to trust instead of the system's.
        python: For local pipelines: the interpreter that has the kfp SDK, None if none was found.
        username: For Basic authentication at an HTTP API, with `password_file`.
        secret_file: What orders to an HTTP API are signed with; None if they are not.

    """

    target: Target
    lookup_window: timedelta
    run_timeout: timedelta
    token_file: Path | None = None
    app: GithubApp | None = None
    ca_file: Path | None = None
    python: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    secret_file: Path | None = None

    @property
    def has_secret(self) -> bool:
        """Whether something secret is sent with each request."""
        return self.token_file is not None or self.password_file is not None


@dataclass(frozen=True, slots=True)
class ActLinkSettings:
    """Links by which whoever reads a message may answer what it asks.

    Attributes:
        secret_file: What they are signed with.
        life: How long one works.

    """

    secret_file: Path
    life: timedelta


@dataclass(frozen=True, slots=True)
class SubscriberSettings:
    """A subscriber, and how it is reached: by a signed webhook, by Slack or by Teams.

    Attributes:
        subscriber: The core's part: name and what it wants to hear.
        url: Where a webhook goes; None if `url_file` holds that.
        url_file: Holds an address that is a secret itself; those of Slack and Teams are.
        secret_file: What a webhook is signed with; None for Slack and Teams.
        ca_file: Certificates to trust instead of the system's.
        teams: Whether it is Teams that is reached.
        act_links: None if its messages carry none.

    """

    subscriber: Subscriber
    url: str | None
    url_file: Path | None
    secret_file: Path | None
    ca_file: Path | None
    teams: bool = False
    act_links: ActLinkSettings | None = None


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """Another program's API, and what lets us in.

    Attributes:
        token_file: Holds a bearer token.
        username: For Basic authentication, with `password_file`.
        ca_file: Certificates to trust instead of the system's.

    """

    url: str
    token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    @property
    def has_secret(self) -> bool:
        """Whether something secret is sent with each request."""
        return self.token_file is not None or self.password_file is not None


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """An Alertmanager that is asked which alerts fire.

    Attributes:
        receiver: The name of its receiver that posts to us.
        poll: How often it is asked.

    """

    name: str
    receiver: str
    poll: timedelta
    peer: PeerSettings


@dataclass(frozen=True, slots=True)
class SourcesSettings:
    """Who is asked whether an alert still fires."""

    confirm_within: timedelta
    alertmanagers: tuple[SourceSettings, ...]
    prometheus: PeerSettings | None

    @property
    def confirms(self) -> bool:
        """Whether anybody says which alerts fire: Prometheus alone does not know our route."""
        return bool(self.alertmanagers)


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """A proxy in front that logs people in.

    Attributes:
        user_header: Holds the person's name.
        groups_header: Holds their groups; None if the proxy tells none.
        groups_separator: Stands between two groups, and within none.
        roles: The groups of each role; `*` is whoever the proxy lets in.
        trusted: Where the proxy's connections come from: of nobody else is a header believed.
        tenants: Groups whose members read the models of a tenant only.

    """

    user_header: str
    groups_header: str | None
    roles: Mapping[Role, frozenset[str]]
    trusted: tuple[IPv4Network | IPv6Network, ...]
    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    groups_separator: str = ","


@dataclass(frozen=True, slots=True)
class Config:
    """A whole, valid configuration.

    Attributes:
        auth: Token files by role; None without the section. A role without tokens is closed.
        policies: In the file's order: the first that matches wins.
        path: The file it was read from.
        text: Canonical JSON of everything but secrets, defaults filled in.
        hash: SHA-256 of `text`, 64 hex digits.
        warnings: What is legal but dangerous, one sentence each, with its place.
        sources: None where nobody can be asked.
        proxy: Who logs people in before they come to us; None if nobody does.
        links: Where a model can be looked at: URL templates by what they are called.
        hints: What is missing that would make it better, one sentence each, with its place.

    """

    server: ServerSettings
    storage: StorageSettings
    retention: RetentionSettings
    auth: Mapping[Role, tuple[TokenFile, ...]] | None
    targets: Mapping[str, TargetSettings]
    policies: tuple[Policy, ...]
    path: Path
    text: str
    hash: str
    warnings: tuple[str, ...] = ()
    subscribers: tuple[SubscriberSettings, ...] = ()
    sources: SourcesSettings | None = None
    hints: tuple[str, ...] = ()
    proxy: ProxySettings | None = None
    links: Mapping[str, str] = field(default_factory=dict)


class ConfigError(Exception):
    """The file is not valid; the text tells every problem with its place and its cure.

    Attributes:
        places: Of each problem, the keys and positions that lead to it; empty if its sentence
            says where it is.

    """

    def __init__(
        self,
        path: Path,
        problems: tuple[str, ...],
        places: tuple[tuple[str | int, ...], ...] = (),
    ) -> None:
        super().__init__("\n  ".join([f"{path.name} is not valid:", *problems]))
        self.path = path
        self.problems = problems
        self.places = places or ((),) * len(problems)
