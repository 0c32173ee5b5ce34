"""Sequence models against baselines on a dataset: everything `metrics.json` says.

    metrics = compare(dataset, entrants, seeds=5, settings=..., kept=KeptTraces(...), watch=...)

Times, paths and machines are not in it: the same data, seeds and trainings write the same bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from trainer.config import AlertSettings
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event
from trainer.evaluation.comparison.alerts import alerting, over_seeds
from trainer.evaluation.comparison.calibration import BINS
from trainer.evaluation.comparison.entrants import Answers, Entrant, Watch, ask
from trainer.evaluation.comparison.judged import JudgedWindows
from trainer.evaluation.comparison.kinds import RESAMPLED, duels
from trainer.evaluation.comparison.models import compare_models, rounded
from trainer.evaluation.comparison.resampling import FEWEST_SEQUENCES, RANKS, Draws
from trainer.evaluation.comparison.scored import Scored, score_contestant, score_entry, spread
from trainer.evaluation.comparison.scores import FALSE_SHARE, SCORES
from trainer.evaluation.evaluate import caveat_of
from trainer.evaluation.kept_traces import KeptTraces

SUMMARY = "summary"
ENGINEERED = "engineered"
REPLICATES = 1000
CHOSEN_BY = "mean over seeds of the validation ROC-AUC, itself the mean over targets, of all due windows"


def compare(
    dataset: Dataset,
    entrants: Sequence[Entrant],
    *,
    targets: Sequence[str],
    seeds: int,
    settings: Mapping[str, AlertSettings],
    kept: KeptTraces,
    watch: Watch,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Train or fetch, ask and judge all entrants, one after another.

    Args:
        dataset: with the splits validation and test.
        entrants: sequence models, one at least, and baselines; the headline is against the one named `summary`.
        targets: of every entrant.
        seeds: trainings of each: 0, 1, …
        settings: alert settings by target.
        kept: where answers are kept.
        watch: told how far it is.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Plain data, see the page written from it.

    Raises:
        ContractError, UsageError, TrainingError: as for `ask`.
    """
    every: list[list[Answers]] = [[] for _ in entrants]
    for number in range(seeds):  # every network has something before any has the next
        for entrant, answers in zip(entrants, every, strict=True):
            if entrant.together is None:
                answers.extend(ask(entrant, [number], dataset, kept, watch))
    for entrant, answers in zip(entrants, every, strict=True):
        if entrant.together is not None:
            answers.extend(ask(entrant, range(seeds), dataset, kept, watch))
    first = every[0][0].traces
    validation = JudgedWindows.of(first["validation"], dataset, "validation", targets)
    test = JudgedWindows.of(first["test"], dataset, "test", targets)
    draws = Draws.make(len(test.sequence_ids), replicates, seed)
    fights = {target: duels(test, index) for index, target in enumerate(targets)}
    scored, events = [], {}
    with watch.progress("judging", len(entrants), "contestants") as advance:
        for number, (entrant, answers) in enumerate(zip(entrants, every, strict=True)):
            shares = draws.seeds(number, seeds)
            scored.append(score_contestant(entrant, answers, validation, test, fights, draws, shares))
            events[entrant.name] = _events(answers, validation, test, settings)
            advance(1)
    chosen = _choose(scored)
    return {
        "caveat": caveat_of(dataset.info),
        "data": _data(dataset, validation, test),
        "method": _method(seeds, replicates, seed),
        "chosen": {
            "recipe": chosen.entrant.name,
            "by": CHOSEN_BY,
            "validation_roc_auc": {
                one.entrant.name: spread(one.validation) for one in scored if one.entrant.kind == "sequence"
            },
        },
        "comparison": _compared(scored, chosen),
        "recipes": {one.entrant.name: _compared(scored, one) for one in scored if one.entrant.kind == "sequence"},
        "seeds": {one.entrant.name: _seeds(one) for one in scored},
        "targets": {target: _target(scored, chosen, target, fights[target]) for target in targets},
        "events": {target: {name: found[target] for name, found in events.items()} for target in targets},
        "calibration": {target: {one.entrant.name: _calibration(one, target) for one in scored} for target in targets},
    }


def _choose(scored: Sequence[Scored]) -> Scored:
    """The sequence model with the best validation; of equals, and where validation cannot tell, the first."""
    sequence = [one for one in scored if one.entrant.kind == "sequence"]
    return max(sequence, key=lambda one: spread(one.validation)["mean"] or 0.0)


def _find(scored: Sequence[Scored], name: str) -> Scored | None:
    return next((one for one in scored if one.entrant.kind == "baseline" and one.entrant.name == name), None)


def _compared(scored: Sequence[Scored], sequence: Scored, target: str | None = None) -> dict[str, Any]:
    """A sequence model against both baselines: of one target, or of the mean over targets."""
    summary, engineered, mine = (
        None if one is None else one.mean if target is None else one.targets[target]
        for one in (_find(scored, SUMMARY), _find(scored, ENGINEERED), sequence)
    )
    return compare_models(summary or {}, mine or {}, engineered)


def _seeds(one: Scored) -> dict[str, Any]:
    scores: dict[str, Any] = {score: spread(one.by_seed(score)) for score in SCORES}
    return {
        "kind": one.entrant.kind,
        "seeds": [answers.seed for answers in one.answers],
        "facts": [dict(answers.facts) for answers in one.answers],
        "validation_roc_auc": spread(one.validation),
        **scores,
    }


def _target(scored: Sequence[Scored], chosen: Scored, target: str, fights: Any) -> dict[str, Any]:
    return {
        "comparison": _compared(scored, chosen, target),
        "contestants": {
            one.entrant.name: {score: score_entry(one, target, score) for score in SCORES}
            | {
                "threshold_f1": [rounded(run[target].threshold_f1) for run in one.runs],
                "threshold_budget": [rounded(run[target].threshold_budget) for run in one.runs],
            }
            for one in scored
        },
        **{
            group: {
                kind: {
                    "events": duel.events,
                    **({} if duel.rivals is None else {"happened": duel.rivals}),
                    "roc_auc": {one.entrant.name: rounded(one.kinds[target][group][kind].value) for one in scored},
                    **({"comparison": _of_kind(scored, chosen, target, group, kind)} if group in RESAMPLED else {}),
                }
                for kind, duel in named.items()
            }
            for group, named in fights.items()
        },
    }


def _of_kind(scored: Sequence[Scored], chosen: Scored, target: str, group: str, kind: str) -> dict[str, Any]:
    """The chosen sequence model against both baselines, on one type or difficulty."""
    summary, engineered, mine = (
        None if one is None else {"roc_auc": one.kinds[target][group][kind]}
        for one in (_find(scored, SUMMARY), _find(scored, ENGINEERED), chosen)
    )
    return compare_models(summary or {}, mine or {}, engineered)["roc_auc"]


def _events(
    answers: Sequence[Answers],
    validation: JudgedWindows,
    test: JudgedWindows,
    settings: Mapping[str, AlertSettings],
) -> dict[str, Any]:
    events = {**validation.events, **test.events}
    happened: list[Event] = [event for of_sequence in test.events.values() for event in of_sequence]
    return {
        target: over_seeds(
            [
                alerting(one.traces["validation"], one.traces["test"], events, target, index, settings[target])
                for one in answers
            ],
            settings[target],
            happened,
        )
        for index, target in enumerate(test.targets)
    }


def _calibration(one: Scored, target: str) -> dict[str, Any]:
    platts = [run[target].platt for run in one.runs]
    scores = ("brier", "brier_calibrated", "ece", "ece_calibrated")
    return {
        **{score: score_entry(one, target, score) for score in scores},
        "platt": [None if it is None else {"slope": rounded(it.slope), "shift": rounded(it.shift)} for it in platts],
        "reliability": one.reliability[target],
    }


def _data(dataset: Dataset, *splits: JudgedWindows) -> dict[str, Any]:
    info = dataset.info
    return {
        "line": info.line,
        "seed": info.seed,
        "fingerprint": info.fingerprint,
        "targets": list(splits[0].targets),
        "splits": {
            windows.split: {
                "sequences": len(windows.sequence_ids),
                "windows": len(windows.group),
                "strand_days": round(windows.strand_days, 4),
                "targets": {
                    target: {
                        "positive": int((column == 1).sum()),
                        "negative": int((column == 0).sum()),
                        "left_out": int((column < 0).sum()),
                    }
                    for target, column in zip(windows.targets, windows.labels.T, strict=True)
                },
            }
            for windows in splits
        },
    }


def _method(seeds: int, replicates: int, seed: int) -> dict[str, Any]:
    return {
        "seeds": seeds,
        "mean": "over the targets that have the score; a target without both classes on test has none",
        "interval": {
            "level": 0.95,
            "by": "percentiles of a bootstrap over the casting sequences of test, the same draws for all contestants; "
            "each contestant's seeds are drawn too, and averaged",
            "replicates": replicates,
            "seed": seed,
            "fewest_sequences": FEWEST_SEQUENCES,
            "ranks": RANKS,
            "undefined": "replicates without both classes are left out; no interval where more than half are",
        },
        "calibration": {"by": "Platt, fitted on validation", "bins": BINS, "of": "equal width"},
        "false_share": FALSE_SHARE,
        "alerts": "threshold and on-delay chosen on validation for the budget, by the worker's own alert policy",
    }
