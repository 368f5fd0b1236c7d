"""The program and the commands that ask no receiver: `serve`, `check-config`, `demo`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from receiver import __version__
from receiver.cli.check_format import CheckFormat
from receiver.cli.epilog import examples

if TYPE_CHECKING:  # pydantic and YAML are slow to load; the commands that only ask need neither
    from receiver.config import Config

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help without rich, which `serve` must never load
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Alertmanager says that a model got worse: decide, start one run, keep every decision.",
    epilog="`decisions`, `models`, `explain`, `retrain`, `pause`, `resume`, `release`, `forget`, "
    "`approve`, `reject`, `dispatches`, `policies`, `targets` and `announcements` ask a running "
    "receiver; `metrics` asks Prometheus, `doctor`, `check-drift` and `send-test` both; "
    "`backtest` asks Prometheus, files or the database; `lint` reads files and servers. "
    "Exit codes: 0 ok, 1 failed, 2 usage, 3 not found, 4 unreachable.",
)

ConfigPath = Annotated[
    Path, typer.Option("--config", help="The configuration file.", metavar="FILE")
]


@app.callback()
def about(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Show the version.",
            is_eager=True,
            callback=lambda wanted: _version() if wanted else None,
        ),
    ] = False,
) -> None:
    """Hold the options of the program itself."""


@app.command(
    epilog=examples("retrain-receiver serve --config receiver.yaml --listen 127.0.0.1:8080")
)
def serve(
    config: ConfigPath = Path("receiver.yaml"),
    listen: Annotated[
        str, typer.Option(help="Where to listen.", metavar="HOST:PORT")
    ] = "127.0.0.1:8080",
) -> None:
    """Run the receiver until SIGTERM; SIGHUP reloads its file."""
    # structlog would load it for tracebacks that are never shown so: 4 MiB for nothing.
    sys.modules["rich"] = None  # type: ignore[assignment]
    from receiver.malloc import use_one_arena  # noqa: PLC0415
    from receiver.store.store import StoreRefused, StoreUnavailable  # noqa: PLC0415
    from receiver.telemetry import set_up_logging  # noqa: PLC0415
    from receiver.wiring import CannotServe  # noqa: PLC0415
    from receiver.wiring import serve as run  # noqa: PLC0415

    use_one_arena()
    loaded = _load(config)
    set_up_logging()
    try:
        run(loaded, listen)
    except (CannotServe, StoreRefused, StoreUnavailable) as error:
        _fail(str(error))


@app.command(
    epilog=examples(
        "retrain-receiver check-config receiver.yaml",
        "retrain-receiver check-config receiver.yaml --fatal-warnings -o json",
    )
)
def check_config(
    file: Annotated[
        Path | None, typer.Argument(help="The configuration file.", metavar="FILE")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The same as FILE.", metavar="FILE")
    ] = None,
    *,
    fatal_warnings: Annotated[
        bool, typer.Option("--fatal-warnings", help="Exit 1 for warnings too.")
    ] = False,
    output: Annotated[
        CheckFormat, typer.Option("-o", "--output", help="For people, or for programs.")
    ] = CheckFormat.TEXT,
) -> None:
    """Tell every problem of a file, each with line, place and cure."""
    if file is not None and config is not None:
        raise typer.BadParameter("write the file once: as FILE or with --config")
    from receiver.cli.checking import check  # noqa: PLC0415  what it reads is slow to load

    path = file or config or Path("receiver.yaml")
    raise typer.Exit(check(path, output, fatal_warnings=fatal_warnings))


@app.command(epilog=examples("retrain-receiver demo", "retrain-receiver demo --once"))
def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End by itself: exit 0 only if the model recovered.")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="What the demo writes is kept here.")
    ] = Path(".demo"),
    port: Annotated[
        int, typer.Option(help="The demo's receiver listens here, or nearby.", min=1, max=65535)
    ] = 8080,
) -> None:
    """Watch an alert become one run, on this machine (in a clone: `make demo`)."""
    from receiver.demo.run import run_demo  # noqa: PLC0415

    raise typer.Exit(run_demo(once=once, keep_dir=folder, port=port))


def _version() -> NoReturn:
    typer.echo(f"retrain-receiver {__version__}")
    raise typer.Exit


def _load(path: Path) -> "Config":
    from receiver.config import ConfigError, load_config  # noqa: PLC0415

    try:
        return load_config(path)
    except ConfigError as error:
        from receiver.cli.checking import not_valid  # noqa: PLC0415
        from receiver.lint.config_checks import problems_with_lines  # noqa: PLC0415

        _fail(not_valid(path, problems_with_lines(error)))


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)
