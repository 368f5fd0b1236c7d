"""Reads the YAML configuration and its secret files into a `Config`, or tells every problem.

reading -> sections of fields -> checks (over drafts, files) -> conversion -> values
              complaints on the way                dangers at the end
"""

from receiver.config.loading import load_config
from receiver.config.values import (
    Config,
    ConfigError,
    GithubApp,
    PeerSettings,
    ProxySettings,
    RetentionSettings,
    Role,
    ServerSettings,
    SourceSettings,
    SourcesSettings,
    StorageSettings,
    SubscriberSettings,
    TargetSettings,
    TokenFile,
)

__all__ = [
    "Config",
    "ConfigError",
    "GithubApp",
    "PeerSettings",
    "ProxySettings",
    "RetentionSettings",
    "Role",
    "ServerSettings",
    "SourceSettings",
    "SourcesSettings",
    "StorageSettings",
    "SubscriberSettings",
    "TargetSettings",
    "TokenFile",
    "load_config",
]
