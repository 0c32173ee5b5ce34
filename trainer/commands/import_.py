"""`trainer import`: what others recorded as datasets, read from a path the user gives."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.commands.console import progress, require_writable, tell
from trainer.commands.topic_range import (
    Encoded,
    Events,
    From,
    Margin,
    Properties,
    Timeout,
    To,
    Topic,
    read_topic_range,
)

if TYPE_CHECKING:
    from trainer.datasets.importers.recorded import ImportReport

app = typer.Typer(no_args_is_help=True)

_SHOWN_REPAIRS = 10

Out = Annotated[Path, typer.Option(help="Folder of the dataset: new, or empty.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the splits.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")]


@app.callback()
def _import() -> None:
    """Import what others recorded as a dataset.

    Nothing is fetched: each importer reads what you have. What belongs
    together (a file, a block, a group) is in one split. A broken file ends
    the import; rows out of time order are dropped and counted.

    Example:
      trainer import table heats.csv --mapping map.toml --out data/heats
    """


@app.command("table")
def table(
    source: Annotated[Path, typer.Argument(help="A .csv, .tsv, .txt or .parquet with one row a scan.")],
    mapping: Annotated[Path, typer.Option(help="What its columns mean, in TOML.")],
    out: Out,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Import a long table, its columns named by a mapping file.

    map.toml:
      time = "timestamp"      # ISO 8601, or else:
      time_unit = "iso"       # s, ms, us or ns since 1970
      run = "heat"            # strand or run id: one sequence each
      sensors = [             # what each can show goes from low to high
        {column = "ML", name = "level_mm", unit = "mm", low = -60, high = 60},
      ]
      labels.sticker = "is_sticker"   # a target's column of 0 and 1
      events.file = "events.csv"      # or its run, target, start, end
      # optional
      group = "campaign"      # runs that share a split
      split = "part"          # train, validation or test
      period_ms = 500         # the median step if not given
      delimiter = ";"         # of a CSV, as the next two
      decimal = ","
      missing = ["-", "Bad"]  # cells that hold no value

    The numbers of all rows are held in memory.

    Example:
      trainer import table heats.csv --mapping map.toml --out data/heats
    """
    from trainer.datasets.importers.table import import_table

    require_writable(out)
    with progress("importing", 100, "%") as advance:
        report = import_table(source, mapping, out, seed=seed, advance=advance)
    counts = report.counts
    _tell(report, out, [f"{counts['runs']:,} runs in {counts['groups']:,} groups"], as_json=as_json)


@app.command("windows")
def windows(
    source: Annotated[Path, typer.Argument(help="An .npz with X, y and group.")],
    out: Out,
    period_ms: Annotated[
        int, typer.Option(min=1, max=3_600_000, help="Time between two rows of a window, milliseconds.")
    ] = 1000,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Import windows that were cut elsewhere.

    X: numbers, windows x time x sensors, NaN where missing
    y: 0 or 1, windows or windows x targets
    group: text or whole numbers; the windows of one share a split
    sensors, units, targets (names) and lengths (rows) are optional

    Shorter windows end in rows of NaN, or `lengths` tells. Train with
    window_length set to the windows' length, stride at most 10, and
    max_gap_periods below 60, the pause between two; judge by window.

    Example:
      trainer import windows cut.npz --period-ms 500 --out data/cut
    """
    from trainer.datasets.importers.windows import import_windows

    require_writable(out)
    with progress("importing", 100, "%") as advance:
        report = import_windows(source, out, period_ms=period_ms, seed=seed, advance=advance)
    counts = report.counts
    sentence = (
        f"{counts['windows']:,} windows of {counts['shortest']} to {counts['longest']} rows in "
        f"{counts['groups']:,} groups, {counts['positive_windows']:,} positive"
    )
    _tell(report, out, [sentence], as_json=as_json)


@app.command("skab")
def skab(
    source: Annotated[Path, typer.Argument(help="The benchmark's data folder: valve1, valve2, other, anomaly-free.")],
    out: Out,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Import SKAB: 34 labelled runs of a water-circulation testbed, target `defect`.

    Each file is one sequence, in one split.

    Example:
      trainer import skab ~/SKAB/data --out data/skab
    """
    from trainer.datasets.importers.skab import import_skab

    require_writable(out)
    with progress("importing", 100, "%") as advance:
        report = import_skab(source, out, seed=seed, advance=advance)
    counts = report.counts
    sentence = (
        f"labelled: {counts['labelled_runs']} runs, {counts['labelled_rows']:,} rows, "
        f"{counts['anomalous_share']:.1%} anomalous"
    )
    _tell(report, out, [sentence], as_json=as_json)


@app.command("hydraulic")
def hydraulic(
    source: Annotated[Path, typer.Argument(help="The folder with TS1.txt and the other channels, and profile.txt.")],
    out: Out,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Import the UCI hydraulic data: targets `valve` and `accumulator`.

    Reads the channels of 1 Hz: 2,205 cycles of 60 s. Cycles of one
    condition are a block: one sequence, in one split. A cycle is one
    window with window_length=60 and stride=60.

    Example:
      trainer import hydraulic ~/hydraulic --out data/hydraulic
    """
    from trainer.datasets.importers.hydraulic import import_hydraulic

    require_writable(out)
    with progress("importing", 100, "%") as advance:
        report = import_hydraulic(source, out, seed=seed, advance=advance)
    counts = report.counts
    sentence = (
        f"{counts['cycles']:,} cycles in {counts['blocks']} blocks; positive: {counts['valve_cycles']:,} of the valve, "
        f"{counts['accumulator_cycles']:,} of the accumulator"
    )
    _tell(report, out, [sentence], as_json=as_json)


@app.command("kafka")
def kafka(
    bootstrap: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where Kafka is; several by commas.")],
    out: Out,
    begin: From = None,
    end: To = None,
    events: Events = None,
    bundle: Annotated[
        str, typer.Option(help="Whose sensors, targets and period: a bundle's folder or name.")
    ] = "current",
    topic: Topic = "casting.sensors",
    encoding: Encoded = "json",
    margin: Margin = 1.0,
    seed: Seed = 1,
    timeout: Timeout = 30.0,
    properties: Properties = None,
    as_json: AsJson = False,
) -> None:
    r"""Import a stretch of the sensors topic and a table of events.

    events.csv (or .parquet), times as in --from; `end` is not within:
      run,target,start,end
      p1.c2.s3,sticker,2026-11-25T06:00:10Z,2026-11-25T06:00:52Z
    `run` is the strand. A target that the bundle does not have is kept, as
    what must not alarm.

    Kafka finds records by when they were published, a scan is kept by its
    event time: --margin is how far the two may lie apart. What a worker
    drops (scans that come twice or late, rubbish) is left out and counted.
    A casting sequence ends at a silence longer than a window.

    No group is joined, nothing committed. Reading ends with what was there
    when it began.

    Example:
      trainer import kafka --bootstrap 127.0.0.1:9092 --from 2026-11-18 \
        --events events.csv --out data/week
    """
    from models.bundle import read

    require_writable(out)
    manifest = read(bundle).manifest
    report = read_topic_range(
        manifest,
        out,
        bootstrap=bootstrap,
        topic=topic,
        encoding=encoding,
        begin=begin,
        end=end,
        margin_h=margin,
        events=events,
        seed=seed,
        timeout_s=timeout,
        properties=properties,
    )
    counts = report.counts
    sentence = f"{counts['records']:,} records of {counts['strands']} strands read, {counts['used_scans']:,} scans used"
    _tell(report, out, [sentence], as_json=as_json)


def _tell(report: "ImportReport", out: Path, about: list[str], *, as_json: bool) -> None:
    splits = ", ".join(f"{number} {split}" for split, number in report.splits.items())
    events = ", ".join(f"{number:,} {target}" for target, number in report.events.items())
    hidden = len(report.repairs) - _SHOWN_REPAIRS
    sentences = [
        f"{out}: {report.sequences:,} sequences, {report.rows:,} rows; {splits}",
        *about,
        f"events: {events}",
        f"missing values: {report.missing_values:,}; repairs: {len(report.repairs)}",
        *(f"  {repair}" for repair in report.repairs[:_SHOWN_REPAIRS]),
        *([f"  and {hidden} more: --json lists all"] if hidden > 0 else []),
        f"fingerprint {report.fingerprint[:12]}",
    ]
    if not all(report.splits.values()):
        sentences.append("note: a split is empty; with fewer than three groups the dealing cannot fill all")
    tell({"path": str(out), **report.to_json()}, sentences, as_json=as_json)
