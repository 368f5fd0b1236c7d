"""The command line: serve, check-config, demo; the other commands ask a running receiver."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from receiver.config import Config, ConfigError, load_config

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Alertmanager says that a model got worse: decide, start one run, keep every decision.",
)

ConfigPath = Annotated[
    Path, typer.Option("--config", help="The configuration file.", metavar="FILE")
]


@app.command()
def serve(
    config: ConfigPath = Path("receiver.yaml"),
    listen: Annotated[str, typer.Option(help="HOST:PORT to listen on.")] = "127.0.0.1:8080",
) -> None:
    """Run the receiver until SIGTERM; SIGHUP loads the configuration again."""
    from receiver.store.store import StoreRefused, StoreUnavailable  # noqa: PLC0415
    from receiver.telemetry import set_up_logging  # noqa: PLC0415
    from receiver.wiring import CannotServe  # noqa: PLC0415
    from receiver.wiring import serve as run  # noqa: PLC0415

    loaded = _load(config)
    set_up_logging()
    try:
        run(loaded, listen)
    except (CannotServe, StoreRefused, StoreUnavailable) as error:
        _fail(str(error))


@app.command()
def check_config(config: ConfigPath = Path("receiver.yaml")) -> None:
    """Tell every problem of a configuration file, each with its place and its cure."""
    loaded = _load(config)
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}")
    typer.echo(f"{config} is valid")


def _load(path: Path) -> Config:
    try:
        return load_config(path)
    except ConfigError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def main() -> None:
    """Run the command."""
    app()
