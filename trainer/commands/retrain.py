"""`trainer retrain`: new data, a new bundle by the current recipe, and `current` moved only if it is not worse."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.bundle import CURRENT, RELEASED, Bundle, make_current, read, resolve
from models.errors import ManifestError, UsageError
from models.manifest import check_bundle_name
from trainer.commands.console import require_writable, tell
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
from trainer.commands.training_progress import training_progress
from trainer.gate import Gate

if TYPE_CHECKING:
    from trainer.config import TrainingConfig
    from trainer.datasets.importers.recorded import ImportReport
    from trainer.retrain import Retrained


_OF_ANY_DATA = (
    "data", "bundle", "out", "assignments", "max_auc_loss", "max_fewer_caught", "min_events", "models", "as_json",
)  # fmt: skip


def command(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of a dataset; with --bootstrap, where it is written first.", show_default=False),
    ] = None,
    bundle: Annotated[str, typer.Option(help="Whose recipe, and whom to beat: a bundle's folder or name.")] = CURRENT,
    out: Annotated[
        Path | None,
        typer.Option(help="The new bundle's folder; in --models, named by the time, if not given.", show_default=False),
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe.")
    ] = None,
    max_auc_loss: Annotated[float, typer.Option(min=0, max=1, help="ROC-AUC by window that may be lost.")] = 0.005,
    max_fewer_caught: Annotated[int, typer.Option(min=0, help="Held-out events fewer that may be caught.")] = 0,
    min_events: Annotated[int, typer.Option(min=1, help="Held-out events of a target needed to judge.")] = 5,
    bootstrap: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Read new data from Kafka, as `trainer import kafka`.", show_default=False
        ),
    ] = None,
    topic: Topic = "casting.sensors",
    encoding: Encoded = "json",
    begin: From = None,
    end: To = None,
    events: Events = None,
    margin: Margin = 1.0,
    timeout: Timeout = 30.0,
    properties: Properties = None,
    split_seed: Annotated[int, typer.Option(min=0, help="Seed of the splits of what is read from Kafka.")] = 1,
    models: Annotated[
        Path, typer.Option(help="Folder of the released bundles and `current`; models/sequence.", show_default=False)
    ] = RELEASED,
    rollback_to: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only make this released bundle current.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    r"""Retrain the current bundle on new data; make it current if not worse.

    The current bundle's recipe is trained on the data's training split, and
    both bundles are judged on its test split. The new one becomes current
    where, for each target, it
      loses at most --max-auc-loss of ROC-AUC by window,
      catches as many events, in time, less --max-fewer-caught, and
      raises no more false alerts a strand-day, or keeps its budget,
    judged by at least --min-events events: fewer, and nothing is trained.
    On few events this rule errs on the side of the current one, and small
    losses stay unseen; the table shows the false alerts' 95 % intervals.

    The old bundle stays: --rollback-to NAME makes it current again. A bundle
    outside --models, or one not judged against current, is not promoted.

    Exit code 0: done. 1: failed, or the new one is written but not current,
    being worse (--json: "promoted": false). 2: wrong usage.

    Examples:
      trainer retrain --data data/november
      trainer retrain --data data/week --bootstrap 127.0.0.1:9092 \
        --from 2026-11-18 --to 2026-11-25 --events events.csv
      trainer retrain --rollback-to casting-cnn-lstm
    """
    if rollback_to is not None:
        _refuse_idle(context, "rollback_to", "models", "as_json", why="--rollback-to trains nothing")
        _roll_back(rollback_to, models, as_json=as_json)
        return
    if data is None:
        raise UsageError("expected --data DIR, got none: name a dataset, or with --bootstrap where to write one")
    if bootstrap is None:
        _refuse_idle(context, *_OF_ANY_DATA, why="without --bootstrap HOST:PORT nothing is read from Kafka")
    gate = Gate(max_auc_loss, max_fewer_caught, min_events)
    current = read(resolve(bundle, models))
    job = _prepare(current, data, out, models, assignments or [])
    report = None
    if bootstrap is not None:
        report = read_topic_range(
            current.manifest,
            data,
            bootstrap=bootstrap,
            topic=topic,
            encoding=encoding,
            begin=begin,
            end=end,
            margin_h=margin,
            events=events,
            seed=split_seed,
            timeout_s=timeout,
            properties=properties,
            rules=job.config.window_rules(current.manifest.window.period_ms),
        )
        for line in (f"{data}: {report.sequences:,} sequences, {report.rows:,} scans", *report.repairs):
            _say(line)
    _run(job, gate, models, report, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Job:
    """All that is settled before anything is read from Kafka or trained."""

    current: Bundle
    data: Path
    config: "TrainingConfig"
    out: Path
    name: str
    version: str


def _prepare(current: Bundle, data: Path, out: Path | None, models: Path, assignments: list[str]) -> _Job:
    from trainer.config import with_changes
    from trainer.datasets.writer import refuse_occupied
    from trainer.retrain import next_name, next_version, recipe_of

    now = datetime.now(UTC)
    manifest = current.manifest
    out = out or models / next_name(manifest.name, now)
    try:
        name = check_bundle_name(out.resolve().name)
    except ManifestError as error:
        raise UsageError(f"{error} of --out") from None
    refuse_occupied(out)
    require_writable(out)
    config = with_changes(recipe_of(current), assignments)
    return _Job(current, data, config, out, name, next_version(manifest.version, now))


def _run(job: _Job, gate: Gate, models: Path, report: "ImportReport | None", *, as_json: bool) -> None:
    from trainer.errors import GateError
    from trainer.retrain import promote, results, retrain

    with training_progress(job.config.num_epochs) as (on_epoch, on_step):
        retrained = retrain(
            job.current,
            job.data,
            job.config,
            job.out,
            gate,
            name=job.name,
            version=job.version,
            say=_say,
            on_epoch=on_epoch,
            on_step=on_step,
        )
    refused = promote(retrained, job.current, models) if retrained.passed else ""
    result = results(retrained, refused)
    tell(
        result | ({} if report is None else {"import": report.to_json()}),
        _sentences(retrained, refused),
        as_json=as_json,
    )
    if not retrained.passed:
        raise GateError(
            f"expected a bundle not worse than {job.current.manifest.model}, got {'; '.join(retrained.reasons)} at "
            f"{job.out}: it is not made current"
        )


def _sentences(retrained: "Retrained", refused: str) -> list[str]:
    from trainer.gate import table
    from trainer.retrain import evidence_notes

    old, bundle, judged = retrained.current.manifest, retrained.exported.bundle, retrained.new
    lines = [
        f"{bundle.path}: {bundle.manifest.model}, model {bundle.manifest.model_sha256}",
        f"held-out split of {judged.dataset.path}, {judged.sequences} sequences; current is {old.model}",
        *table(retrained.verdicts),
        *(f"note: {note}" for note in evidence_notes(retrained)),
        judged.caveat,
    ]
    if not retrained.passed:
        return lines
    if refused:
        return [*lines, f"not worse, but not made current: {refused}"]
    back = f"trainer retrain --rollback-to {old.name}"
    return [*lines, f"{bundle.manifest.name} is current; back again: {back}"]


def _roll_back(name: str, models: Path, *, as_json: bool) -> None:
    """Make a released bundle current, once it is found whole."""
    try:
        check_bundle_name(name)
    except ManifestError as error:
        raise UsageError(f"{error} of --rollback-to") from None
    before = resolve(CURRENT, models).name
    if not (models / name).is_dir():
        raise UsageError(f"expected a released bundle, got `{name}` at {models}: name one that is there")
    manifest = read(models / name).manifest
    make_current(name, models)
    tell(
        {"current": name, "model": manifest.model, "before": before},
        [f"{name} is current, it was {before}"],
        as_json=as_json,
    )


def _refuse_idle(context: typer.Context, *used: str, why: str) -> None:
    """Refuse options that were given and would do nothing."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name not in used and source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP"):
            raise UsageError(f"expected no {parameter.opts[0]} here, got one: {why}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
