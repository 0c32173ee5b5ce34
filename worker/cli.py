"""The command line: `worker run | demo | watch | doctor | config`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from models.errors import StrandwatchError
from worker import __version__
from worker.stop import Stop

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Real-time defect and breakout warning for continuous casters of steel.",
)

Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="A TOML file of settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"strandwatch {__version__}")
        raise typer.Exit


@cli.callback()
def worker(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Serve a model on a Kafka line.

    Settings come from the environment (`STRANDWATCH_…`), a TOML file and secret files;
    `worker config --names` lists them all.
    """


@cli.command()
def run(config: Config = None) -> None:
    """Serve: scans from Kafka in; predictions, alerts and dead letters out.

    Example: `STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 worker run`

    Ends with 0 after SIGTERM or Ctrl-C, 1 if it cannot go on, 2 for a wrong setting.
    """
    stop = Stop()
    with stop.on_signals():
        from worker import app, logs, settings

        chosen = settings.load(config)
        logs.configure(chosen.log.level, chosen.log.format)
        app.run(chosen, stop)


@cli.command()
def demo(
    seconds: Annotated[float, typer.Option(min=5, help="How long the line plays.")] = 60.0,
    speed: Annotated[float, typer.Option(min=0.1, max=200, help="Times real time.")] = 20.0,
    bundle: Annotated[str, typer.Option(help="A bundle's folder, or a released name.")] = "current",
    kafka: Annotated[bool, typer.Option("--kafka", help="On a real Apache Kafka (extra `broker`).")] = False,
    as_json: AsJson = False,
) -> None:
    """Play a recorded, simulated line through a whole worker, live, and judge its alerts.

    Everything runs in this process, on librdkafka's in-process broker (at least once, in
    memory) unless --kafka. Fails if a scan was lost or nothing was predicted.

    Example: `worker demo --seconds 30 --json`
    """
    stop = Stop()
    with stop.on_signals(within_s=30.0):
        from worker import logs
        from worker.demo.demo import Demo, DemoOptions
        from worker.demo.screen import Screen

        logs.configure("error", "auto")
        screen = Screen(f"a simulated line, {speed:g} times real time", Console(stderr=as_json))
        summary = Demo(DemoOptions(seconds, speed, bundle, kafka), screen).run(stop)
    typer.echo(json.dumps(summary.as_dict()) if as_json else f"\n{summary}")
    if summary.lost or (summary.predictions == summary.warming and not stop()):
        raise StrandwatchError(
            f"expected a prediction for every due scan, got {summary.predictions}, {summary.warming} of them warming, "
            f"and lost {summary.lost}"
        )


@cli.command()
def watch(
    config: Config = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="End after this time; default: never.")] = None,
) -> None:
    """Show live strands and alerts of a running worker in the terminal.

    Example: `STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 worker watch`
    """
    stop = Stop()
    with stop.on_signals():
        from worker import logs, settings
        from worker.demo.watch import watch as watch_topics

        chosen = settings.load(config)
        logs.configure("error", chosen.log.format)
        watch_topics(chosen, seconds, stop)


@cli.command()
def doctor(config: Config = None, as_json: AsJson = False) -> None:
    """Check broker, topics, permissions, bundle and the execution provider in use.

    Example: `STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:9092 worker doctor`

    Ends with 1 if anything that `worker run` needs is missing.
    """
    from worker import doctor as checks
    from worker import logs, settings

    chosen = settings.load(config)
    logs.configure("error", chosen.log.format)
    findings = checks.examine(chosen)
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings]))
    else:
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@cli.command("config")
def show_config(
    config: Config = None,
    as_json: AsJson = False,
    names: Annotated[bool, typer.Option("--names", help="List every setting and its default instead.")] = False,
) -> None:
    """Show the effective settings; secrets are masked.

    Example: `worker config --config worker.toml --json`
    """
    from worker import settings

    if names:
        table = Table("setting", "default", box=None, pad_edge=False)
        for name, default in settings.names():
            table.add_row(name, default)
        Console().print(table)
        return
    effective = settings.masked(settings.load(config))
    if as_json:
        typer.echo(json.dumps(effective))
        return
    table = Table("setting", "value", box=None, pad_edge=False)
    for section, value in effective.items():
        for name, inner in value.items() if isinstance(value, dict) else [("", value)]:
            shown = settings.unset(section, name) if inner is None else str(inner)
            table.add_row(f"{section}.{name}".rstrip("."), shown)
    Console().print(table)


def main() -> None:
    """Run the command line; a user's mistake is one line on stderr, never a traceback."""
    try:
        cli()
    except StrandwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(0)
