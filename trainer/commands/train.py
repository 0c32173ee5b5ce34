"""`trainer train`: a dataset in, a verified bundle out."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.bundle import MANIFEST_FILE, RELEASED, make_current, read
from models.errors import UsageError
from trainer.commands.bundle_folder import bundle_name, require_bundle_folder
from trainer.commands.console import require_writable, tell
from trainer.commands.training_progress import training_progress

if TYPE_CHECKING:
    from trainer.config import TrainingConfig
    from trainer.export import Exported
    from trainer.train_sequence import TrainingRun
    from trainer.training.checkpoint import Checkpoints
    from trainer.training.distributed import World
    from trainer.training.history import EpochRecord


def _list_recipes(wanted: bool) -> None:
    if wanted:
        from trainer.config import RECIPES, recipe_names

        for name in recipe_names():
            first = (RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines()[0]
            print(f"{name:<20} {first.lstrip('# ')}")
        raise typer.Exit


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    recipe: Annotated[str, typer.Option(help="A recipe's name, or a TOML file.")] = "tiny",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The bundle's name; the folder's if not given.")] = None,
    version: Annotated[str, typer.Option(help="The bundle's version.")] = "1",
    current: Annotated[
        bool,
        typer.Option("--current", help="Make it the default; only in models/sequence, and if it catches something."),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a training that was interrupted.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a bundle that is there; begin an interrupted training anew.")
    ] = False,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard's event files.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
    list_recipes: Annotated[  # noqa: ARG001, its callback has done it all
        bool, typer.Option("--list-recipes", help="Say what recipes there are.", is_eager=True, callback=_list_recipes)
    ] = False,
) -> None:
    """Train a sequence model and export it as a bundle.

    The bundle is checked against torch; its alert thresholds and on-delays are
    chosen on the dataset's validation split. The same seed gives the same weights on
    the same kind of processor.

    After each epoch the state goes to OUT.training; a training that was
    killed goes on from there with --resume and ends at the same weights.

    Examples:
      trainer train --list-recipes
      trainer train --data data/line --out runs/mine --set hidden_size=64
      trainer train --data data/line --out runs/mine --set hidden_size=64 --resume
      torchrun --nproc-per-node 2 -m trainer train --data DIR --out runs/mine
    """
    from trainer.config import load_config

    name = bundle_name(name, out)
    config = load_config(recipe, assignments or [])
    from trainer.training.checkpoint import Checkpoints

    checkpoints = Checkpoints(out.absolute().with_name(f"{out.resolve().name}.training"))
    was_finished = resume and _is_finished(out, config, data, checkpoints)
    if not was_finished:
        require_bundle_folder(out, force=force)
    require_writable(out)
    if current and out.resolve() != RELEASED.resolve() / name:
        raise UsageError(
            f"expected --out {RELEASED / name} with --current, got {out}: the default is a released bundle"
        )

    from trainer.training.distributed import join

    if was_finished:
        _tidy_up(out, name, checkpoints, current=current, as_json=as_json)
        return
    _refuse_interrupted(checkpoints, resume=resume, force=force)
    with join(config.device) as world, _telling_how_to_go_on(checkpoints, world):
        if force and not resume and world.leads:
            checkpoints.remove()
        if resume and world.leads and not checkpoints.paths():
            print(f"nothing to resume at {checkpoints.folder}, beginning with epoch 1", file=sys.stderr, flush=True)
        run = _train(data, config, checkpoints, world, tensorboard, resume=resume)
    if not world.leads:
        # Its work is done. A thread of gloo that the interpreter's end finds still running aborts the process, and
        # torchrun then ends the leader in the middle of its export.
        sys.stderr.flush()
        os._exit(0)
    print("exporting, comparing with torch, choosing thresholds on validation", file=sys.stderr, flush=True)

    from trainer.export import export_run

    exported = export_run(run, out, name=name, version=version, recipe=recipe, must_catch=current)
    checkpoints.remove()
    for warning in exported.warnings:
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    if current:
        make_current(name)
    result, sentences = _result(run, exported, out)
    tell(result, sentences, as_json=as_json)


def _train(
    data: Path,
    config: "TrainingConfig",
    checkpoints: "Checkpoints",
    world: "World",
    tensorboard: Path | None,
    *,
    resume: bool,
) -> "TrainingRun":
    """Train, with reports from the process that leads."""
    from trainer.train_sequence import train_on_dataset

    if not world.leads:
        return train_on_dataset(data, config, checkpoints=checkpoints.folder, resume=resume, world=world)
    with ExitStack() as stack:
        on_epoch, on_step = stack.enter_context(training_progress(config.num_epochs))
        reports = [on_epoch]
        if tensorboard:
            from trainer.training.tensorboard import tensorboard_log

            reports.append(stack.enter_context(tensorboard_log(tensorboard)))

        def tell_all(record: "EpochRecord") -> None:
            for report in reports:
                report(record)

        return train_on_dataset(
            data,
            config,
            on_epoch=tell_all,
            on_step=on_step,
            checkpoints=checkpoints.folder,
            resume=resume,
            world=world,
        )


@contextmanager
def _telling_how_to_go_on(checkpoints: "Checkpoints", world: "World") -> Iterator[None]:
    """After Ctrl-C or SIGTERM, say what is kept; of several processes, the one that leads."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if not world.leads:
            raise
        done = checkpoints.last_epoch()
        kept = f"after epoch {done}; the same command with --resume goes on" if done else "before the first epoch's end"
        print(f"stopped {kept}", file=sys.stderr, flush=True)
        raise


def _tidy_up(out: Path, name: str, checkpoints: "Checkpoints", *, current: bool, as_json: bool) -> None:
    """What a training that was killed after its bundle was written did not come to."""
    if os.environ.get("RANK", "0") != "0":  # of torchrun's processes, the first does it
        return
    checkpoints.remove()
    if current:
        make_current(name)
    tell({"path": str(out), "finished": True}, [f"{out}: was finished, nothing to go on with"], as_json=as_json)


def _is_finished(out: Path, config: "TrainingConfig", data: Path, checkpoints: "Checkpoints") -> bool:
    """Whether a bundle that this very training wrote is there: the kill came between it and the end.

    A bundle of an earlier training may be there too, about to be replaced by the one that was interrupted: its epochs
    took other times than those of the checkpoint.
    """
    if not (out / MANIFEST_FILE).is_file():
        return False
    from trainer.datasets.dataset import Dataset
    from trainer.export import RECORD_FILE
    from trainer.retrain import recipe_of
    from trainer.sequence_dataset import check_targets

    bundle, dataset = read(out), Dataset.open(data)
    recipe, wanted = recipe_of(bundle), replace(config, targets=check_targets(dataset, config.targets))
    if bundle.manifest.data_fingerprint != dataset.info.fingerprint or recipe != wanted:
        return False
    saved = checkpoints.newest()
    written = json.loads((out / RECORD_FILE).read_bytes())["history"]
    return saved is None or [epoch["seconds"] for epoch in saved.state["history"]] == [
        epoch["seconds"] for epoch in written
    ]


def _refuse_interrupted(checkpoints: "Checkpoints", *, resume: bool, force: bool) -> None:
    done = checkpoints.last_epoch()
    if done and not (resume or force):
        raise UsageError(
            f"expected no training under way, got one interrupted after epoch {done} at {checkpoints.folder}: "
            "add --resume to go on with it, or --force to begin anew"
        )


def _result(run: "TrainingRun", exported: "Exported", out: Path) -> tuple[dict[str, Any], list[str]]:
    manifest = exported.bundle.manifest
    best = run.best
    size = manifest.architecture["parameters"]
    scores = f"ROC-AUC {best.roc_auc:.4f}, PR-AUC {best.pr_auc:.4f}"
    sentences = [
        f"{out}: {manifest.model}, {size:,} parameters, model {manifest.model_sha256}",
        f"validation windows, epoch {best.epoch} of {len(run.history)}: {scores}",
    ]
    for target, events in exported.validation.items():
        policy, (low, high) = manifest.alert[target], events.false_interval or (0.0, 0.0)
        sentences.append(
            f"validation alerts, {target} at {policy.open:g}: {events.caught} of {len(events.outcomes)} events caught, "
            f"{events.false_alerts} false in {events.strand_days:.2f} strand-days "
            f"({events.false_per_strand_day or 0:.2f} a day, 95 % interval {low:.2f} to {high:.2f})"
        )
    sentences.append("the threshold was chosen on these; judge by `trainer evaluate` on the test split")
    result = {
        "path": str(out),
        "model": manifest.model,
        "model_sha256": manifest.model_sha256,
        "metrics": manifest.metrics,
        "warnings": exported.warnings,
        "alert": {target: {"open": policy.open, "close": policy.close} for target, policy in manifest.alert.items()},
        "seconds": round(sum(entry.seconds for entry in run.history), 1),
    }
    return result, sentences
