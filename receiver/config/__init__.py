"""YAML file (secrets in files) -> Config; readable complaints."""

from receiver.config.loading import load_config
from receiver.config.values import (
    Config,
    ConfigError,
    GithubApp,
    RetentionSettings,
    Role,
    ServerSettings,
    StorageSettings,
    TargetSettings,
    TokenFile,
)

__all__ = [
    "Config",
    "ConfigError",
    "GithubApp",
    "RetentionSettings",
    "Role",
    "ServerSettings",
    "StorageSettings",
    "TargetSettings",
    "TokenFile",
    "load_config",
]
