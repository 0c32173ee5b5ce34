"""`trainer simulate`: hours of a simulated line as a dataset, or the short recording that the worker ships."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import UsageError
from trainer.commands.console import progress, tell

if TYPE_CHECKING:
    from trainer.datasets.writer import DatasetWriter
    from trainer.line.config import LineConfig


def command(
    context: typer.Context,
    hours: Annotated[float, typer.Option(min=0.05, max=100_000, help="Hours to cast on each strand.")] = 10.0,
    strands: Annotated[int, typer.Option(min=1, max=1000, help="Number of strands.")] = 4,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything drawn; 1 if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the dataset: new, or empty.")] = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE=N", help="Events of a type in a strand-hour; 0 is off. May be repeated."),
    ] = None,
    natural: Annotated[
        bool, typer.Option("--natural", help="Everything as seldom as on a caster: to count false alarms.")
    ] = False,
    thermocouples: Annotated[
        str, typer.Option(metavar="ROWSxCOLUMNS", help="The array of the mould's broad face.")
    ] = "2x2",
    dirt: Annotated[
        list[str] | None,
        typer.Option(metavar="all|KIND[=RATE]", help="Soil it as a plant would; kinds as in `trainer stream --dirt`."),
    ] = None,
    recording: Annotated[
        Path | None, typer.Option(help="Write the demo's twenty minutes to this .npz instead of a dataset.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a recording that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Simulate a casting line: defects, their look-alikes, and twenty sensors.

    The same seed makes the same bytes. A sequence is two hours; whole
    sequences go to the splits train, validation and test.

    Types: sticker, depression, clogging_release, transverse_crack,
    shell_thinning, segregation, internal_crack; and what must not alarm:
    film_fracture, film_patch, local_dips, speed_step, sen_change,
    level_retuning, bulging, powder_change, tc_fault, level_glitch.

    Example:
      trainer simulate --hours 10 --strands 4 --seed 1 --out data/line
    """
    if (out is None) == (recording is None):
        raise UsageError("expected one of --out and --recording, got both or none: say where to write")
    refused = ("force",) if recording is None else ("hours", "strands", "rate", "natural", "thermocouples", "dirt")
    for option in refused:
        source = context.get_parameter_source(option)
        if source is not None and source.name != "DEFAULT":
            other = "--out" if recording is None else "--recording, whose script is fixed"
            raise UsageError(f"expected no --{option} beside {other}, got one: leave it out")
    config = _config(rate or [], thermocouples, natural=natural)
    if recording is not None:
        _record(config, seed, recording, force=force, as_json=as_json)
    elif out is not None:
        _simulate(config, hours, strands, 1 if seed is None else seed, out, dirt=dirt or [], as_json=as_json)


def _config(rates: list[str], thermocouples: str, *, natural: bool) -> "LineConfig":
    from pydantic import ValidationError

    from trainer.line.config import LineConfig

    rows, _, columns = thermocouples.partition("x")
    if not (rows.isdecimal() and columns.isdecimal()):
        raise UsageError(f"expected ROWSxCOLUMNS, got `{thermocouples}` at --thermocouples: say for example 3x8")
    try:
        config = LineConfig.model_validate({"thermocouples": {"rows": int(rows), "columns": int(columns)}})
        config = config.at_natural_rates() if natural else config
        return config.with_rates(dict(_rate(pair, config) for pair in rates))
    except ValidationError as error:
        raise UsageError(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}, of --thermocouples") from error


def _rate(pair: str, config: "LineConfig") -> tuple[str, float]:
    from trainer.line.figures.base import MOST_PER_HOUR

    kind, _, number = pair.partition("=")
    known = config.happenings()
    try:
        per_hour = float(number)
    except ValueError:
        kind = ""
    if kind not in known:
        raise UsageError(f"expected TYPE=N with a type of {', '.join(known)}, got `{pair}` at --rate")
    if not 0 <= per_hour <= MOST_PER_HOUR:
        raise UsageError(f"expected 0 to {MOST_PER_HOUR:g} events in a strand-hour, got `{pair}` at --rate")
    return kind, per_hour


def _simulate(
    config: "LineConfig", hours: float, strands: int, seed: int, out: Path, *, dirt: list[str], as_json: bool
) -> None:
    from trainer.datasets.writer import DatasetWriter
    from trainer.dirt.counts import DirtCounts
    from trainer.dirt.dataset import soiled
    from trainer.dirt.figures import choose_dirt
    from trainer.line.mould_array import MouldArray
    from trainer.line.simulator import TARGETS, simulate

    began_s, cpu_s = time.perf_counter(), time.process_time()
    array, soil, dirt_counts = MouldArray.of(config), choose_dirt(dirt) if dirt else None, DirtCounts()
    configuration = config.model_dump(mode="json")
    writer = DatasetWriter(
        out,
        line=config.version,
        seed=seed,
        period_ms=config.period_ms,
        sensors=array.sensors,
        targets=TARGETS,
        configuration=configuration | ({"dirt": soil.model_dump(mode="json")} if soil else {}),
        symmetries=array.symmetries,
    )
    events: dict[str, int] = {}
    cast_s = 0.0
    with progress("simulating", hours * strands, "strand-hours") as advance, writer:
        for made in simulate(config, strands=strands, hours=hours, seed=seed):
            # A dataset holds what a worker's windows would have taken in of a dirty line; its truth stays the truth.
            writer.add(soiled(made.sequence, soil, seed, dirt_counts) if soil else made.sequence, made.events)
            for event in made.events:
                events[event.type] = events.get(event.type, 0) + 1
            cast_s += made.sequence.rows * config.period_ms / 1000
            advance(made.sequence.rows * config.period_ms / 3_600_000)
    cpu_s = max(time.process_time() - cpu_s, 1e-3)
    speed = {
        "strand_hours": cast_s / 3600,
        "wall_s": round(time.perf_counter() - began_s, 3),
        "strand_seconds_per_cpu_second": round(cast_s / cpu_s),
    }
    _tell(out, writer, events, speed, {"dirt": dirt_counts.as_dict()} if soil else {}, as_json=as_json)


def _tell(
    out: Path, writer: "DatasetWriter", events: dict[str, int], speed: dict[str, float],
    dirt: dict[str, object], *, as_json: bool,
) -> None:  # fmt: skip
    info = writer.info
    splits = {split: sum(one.split == split for one in writer.sequences) for split in ("train", "validation", "test")}
    rows = sum(one.rows for one in writer.sequences)
    result = {"path": str(out), "line": info.line, "seed": info.seed, "rows": rows, "sequences": splits,
              "events": events, "fingerprint": info.fingerprint, **speed, **dirt}  # fmt: skip
    told = ", ".join(f"{number:,} {kind}" for kind, number in sorted(events.items())) or "no events"
    dealt = ", ".join(f"{number} {split}" for split, number in splits.items())
    sentences = [
        f"{out}: {speed['strand_hours']:g} strand-hours of {info.line}, {rows:,} scans{', soiled' if dirt else ''}",
        f"events: {told}",
        f"sequences: {dealt}; fingerprint {info.fingerprint[:12]}",
        f"{speed['wall_s']:.1f} s, {speed['strand_seconds_per_cpu_second']:,} strand-seconds a processor second",
    ]
    if not all(splits.values()):
        sentences.append("note: fewer than three sequences leave a split empty: more --hours or --strands fill it")
    tell(result, sentences, as_json=as_json)


def _record(config: "LineConfig", seed: int | None, path: Path, *, force: bool, as_json: bool) -> None:
    from models.recording import write
    from trainer.line.recorder import RECORDING_SEED, record

    if path.suffix != ".npz":
        raise UsageError(f"expected a name that ends in .npz, got {path} at --recording")
    if path.exists() and not force:
        raise UsageError(f"expected a new file, got one at {path}: choose another --recording, or add --force")
    made = record(config, RECORDING_SEED if seed is None else seed)
    write(path, made)
    minutes = (made.event_time_ms[-1] - made.event_time_ms[0] + made.period_ms) / 60_000
    size = path.stat().st_size
    result = {
        "path": str(path),
        "bytes": size,
        "strands": len(made.strands),
        "minutes": float(minutes),
        "events": len(made.events),
    }
    sentence = f"{path}: {len(made.strands)} strands, {minutes:g} minutes, {len(made.events)} events, {size:,} bytes"
    tell(result, [sentence], as_json=as_json)
