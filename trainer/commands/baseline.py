"""`trainer baseline`: LightGBM on window features, what a sequence model must be better than."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from models.errors import UsageError
from trainer.commands.console import progress, require_writable, tell

if TYPE_CHECKING:
    from trainer.baseline import BaselineRun, BaselineTrial
    from trainer.experiments.runs import Scores

_TOLD_FEATURES = 5


def command(
    data: Annotated[Path, typer.Option(help="Folder of a dataset.")],
    out: Annotated[Path, typer.Option(help="Folder of the baseline, a new one.")],
    recipe: Annotated[str, typer.Option(help="Whose baseline it is: a recipe's name, or a TOML file.")] = "tiny",
    features: Annotated[
        Literal["summary", "engineered"], typer.Option(help="Statistics of each sensor, or what an expert would add.")
    ] = "summary",
    trials: Annotated[int, typer.Option(min=1, help="Of the search for LightGBM's parameters.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Of the search, of LightGBM and of the windows drawn.")] = 0,
    parameters_of: Annotated[
        Path | None, typer.Option(help="Folder of a baseline whose parameters are taken: nothing is searched.")
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of the recipe.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    r"""Train LightGBM on features of the windows a sequence model learns from.

    Same splits, windows and labels as `trainer train` with that recipe, and
    the same windows to judge by. It is tuned on validation; the test split
    chooses nothing. Stop the search as you like: the same command goes on.

    Examples:
      trainer baseline --data data/line --recipe lstm --out runs/summary
      trainer baseline --data data/line --recipe lstm --seed 1 \
        --parameters-of runs/summary --out runs/summary-1
    """
    from trainer.config import load_config

    if any(assignment.partition("=")[0].strip() == "seed" for assignment in assignments or []):
        raise UsageError("expected --seed N, got `seed` at --set: it is LightGBM's too")
    config = replace(load_config(recipe, assignments or []), seed=seed)
    require_writable(out)

    from trainer.baseline import load_baseline, score_baseline, train_baseline
    from trainer.datasets.writer import refuse_occupied

    refuse_occupied(out)

    params = None
    if parameters_of is not None:
        found = load_baseline(parameters_of).about
        if found.features != features:
            raise UsageError(f"expected a baseline of `{features}`, got one of `{found.features}` at {parameters_of}")
        params = found.parameters

    def on_trial(trial: "BaselineTrial") -> None:
        print(_line(trial, trials), file=sys.stderr, flush=True)

    log = out.absolute().with_name(f"{out.resolve().name}.search.json")
    try:
        with progress("features", 100, "%") as advance:
            run = train_baseline(
                data,
                config,
                features,
                trials=trials,
                seed=seed,
                params=params,
                log=log,
                on_features=advance,
                on_trial=on_trial,
            )
    except (KeyboardInterrupt, SystemExit):
        print("stopped; the same command goes on after the last whole trial", file=sys.stderr, flush=True)
        raise
    run.model.save(out)
    log.unlink(missing_ok=True)
    test = score_baseline(run.model, data, config, "test")
    tell(_result(run, test, out), _sentences(run, test, out), as_json=as_json)


def _line(trial: "BaselineTrial", trials: int) -> str:
    values = ", ".join(f"{name}={value:.4g}" for name, value in trial.parameters.items())
    rounds = ", ".join(f"{target} {count}" for target, count in trial.rounds.items())
    score = f"ROC-AUC {trial.roc_auc:.4f}, {trial.seconds} s"
    return f"trial {trial.number + 1}/{trials}: {score}; {values}; trees: {rounds}"


def _result(run: "BaselineRun", test: "Scores", out: Path) -> dict[str, Any]:
    import msgspec

    about = run.model.about
    plain: dict[str, Any] = msgspec.to_builtins(
        {
            "path": str(out),
            "features": about.features,
            "feature_count": len(about.feature_names),
            "train_windows": about.train_windows,
            "validation_windows": about.validation_windows,
            "validation": run.validation,
            "test": test,
            "parameters": about.parameters,
            "trials": about.trials,
            "seconds": about.seconds,
            "feature_seconds": about.feature_seconds,
            "processor_seconds": about.processor_seconds,
            "model_sha256": dict(zip(about.targets, about.model_sha256, strict=True)),
            "importance": run.model.importance(),
        }
    )
    return plain


def _sentences(run: "BaselineRun", test: "Scores", out: Path) -> list[str]:
    about = run.model.about
    head = f"{out}: {len(about.feature_names)} `{about.features}` features, {about.train_windows:,} windows learnt from"
    time = f"{about.seconds:.0f} s, {about.feature_seconds:.0f} s of them for the features"
    lines = [f"{head}, {len(about.trials)} trials, {time}"]
    for split, scores in (("validation", run.validation), ("test", test)):
        each = {**scores.targets, "mean": {"roc_auc": scores.roc_auc, "pr_auc": scores.pr_auc}}
        lines += [
            f"{split} windows, {target}: ROC-AUC {values['roc_auc']:.4f}, PR-AUC {values['pr_auc']:.4f}"
            for target, values in each.items()
        ]
    for target, gains in run.model.importance().items():
        total = sum(gains.values())
        most = [f"{name} {gain / total:.0%}" for name, gain in list(gains.items())[:_TOLD_FEATURES]]
        lines.append(f"{target} is told by {', '.join(most) or 'nothing'}")
    return [*lines, "validation chose the parameters; the test split chose nothing"]
