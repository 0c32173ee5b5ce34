"""`trainer tune`: a search over a declared space, which goes on where it was stopped."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainer.commands.console import require_writable, tell
from trainer.commands.training_progress import training_progress

if TYPE_CHECKING:
    from trainer.experiments.tune import Study, TrialRecord


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    space: Annotated[str, typer.Option(help="A space's name, or a TOML file.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials to finish, those of earlier calls counted.")],
    out: Annotated[Path, typer.Option(help="Folder of the study.")],
    recipe: Annotated[str, typer.Option(help="What the trials have in common: a recipe's name, or a file.")] = "tiny",
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the search.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Search for a better recipe, judged by validation ROC-AUC.

    A trial that falls behind the others is given up early. Stop the search
    as you like: the same command goes on. The winner is `best.toml` in the
    folder, a recipe for `trainer train`.

    Example:
      trainer tune --data data/line --space lstm --trials 20 --out runs/study
    """
    from trainer.config import load_config

    config = load_config(recipe, assignments or [])
    require_writable(out)

    from trainer.experiments.tune import BEST_FILE, tune

    def on_trial(trial: "TrialRecord", study: "Study") -> None:
        print(_line(trial, study, trials), file=sys.stderr, flush=True)

    begun: list[int] = []

    def of() -> str:
        return f"trial {begun[-1]}/{trials}, "

    try:
        with training_progress(config.num_epochs, of=of) as (on_epoch, on_step):
            study = tune(
                data, config, space, trials, out, seed=seed,
                on_begin=begun.append, on_trial=on_trial, on_epoch=on_epoch, on_step=on_step,
            )  # fmt: skip
    except (KeyboardInterrupt, SystemExit):
        print(f"stopped; {out} keeps what is finished, and the same command goes on", file=sys.stderr, flush=True)
        raise
    tell(_result(study), _sentences(study, out / BEST_FILE), as_json=as_json)


def _line(trial: "TrialRecord", study: "Study", trials: int) -> str:
    values = ", ".join(f"{key}={_short(value)}" for key, value in trial.values.items())
    score = trial.error or f"ROC-AUC {trial.roc_auc or 0:.4f}"
    best = f", best {study.best.roc_auc:.4f}" if study.best else ""
    return f"trial {study.finished}/{trials} {trial.state}: {score}{best}, {trial.seconds} s: {values}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _result(study: "Study") -> dict[str, Any]:
    return {
        "path": str(study.folder),
        "finished": study.finished,
        "best": asdict(study.best) if study.best else None,
        "trials": [asdict(trial) for trial in study.trials],
    }


def _sentences(study: "Study", best_file: Path) -> list[str]:
    best = study.best
    if best is None:
        return []
    states = [trial.state for trial in study.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    judged = [trial for trial in study.trials if trial.state in {"complete", "pruned"}]
    ranked = sorted(judged, key=lambda trial: -(trial.roc_auc or 0.0))
    lines = [f"{study.finished} trials ({counts}); the best:"]
    for trial in ranked[:5]:
        values = ", ".join(f"{key}={_short(value)}" for key, value in trial.values.items())
        lines.append(f"  {trial.roc_auc or 0:.4f}  trial {trial.number}, {trial.state}: {values}")
    return [*lines, f"trainer train --recipe {best_file} trains the best again"]
