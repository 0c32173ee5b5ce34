"""One contestant's scores by window over its trainings: by target and as the mean over targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.evaluation.comparison.calibration import Float64Array, reliability
from trainer.evaluation.comparison.entrants import Answers, Entrant
from trainer.evaluation.comparison.judged import JudgedWindows
from trainer.evaluation.comparison.kinds import RESAMPLED, Duel, duel_estimate
from trainer.evaluation.comparison.models import rounded, rounded_interval
from trainer.evaluation.comparison.resampling import Draws, Estimate, mean_estimate
from trainer.evaluation.comparison.scores import SCORES, WindowScores, score_windows, validation_roc_auc
from trainer.experiments.runs import mean_and_deviation

Duels = Mapping[str, Mapping[str, Duel]]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A contestant's scores.

    Attributes:
        entrant: who.
        answers: of each training.
        runs: each training's scores by target.
        targets: estimates over the trainings, by target and score.
        mean: estimates over the targets that have the score, by score.
        validation: each training's ROC-AUC on validation, the mean over the targets that have one; None without.
        kinds: by target, kind of duel and name, the mean ROC-AUC over the trainings; with replicates but for the
            look-alikes.
        reliability: by target, before and after calibration, all trainings' windows together.
    """

    entrant: Entrant
    answers: Sequence[Answers]
    runs: Sequence[Mapping[str, WindowScores]]
    targets: Mapping[str, Mapping[str, Estimate]]
    mean: Mapping[str, Estimate]
    validation: Sequence[float | None]
    kinds: Mapping[str, Mapping[str, Mapping[str, Estimate]]]
    reliability: Mapping[str, Mapping[str, Any]]

    def by_seed(self, score: str) -> list[float | None]:
        """Each training's score, the mean over the targets that have it."""
        return [mean_estimate([run[target].estimates[score] for target in self.targets]).value for run in self.runs]


def score_contestant(
    entrant: Entrant,
    answers: Sequence[Answers],
    validation: JudgedWindows,
    test: JudgedWindows,
    duels: Mapping[str, Duels],
    draws: Draws,
    shares: Float64Array,
) -> Scored:
    """Score a contestant's trainings.

    Args:
        entrant: who.
        answers: of each training, one at least.
        validation: where thresholds and calibration are chosen.
        test: where it is judged.
        duels: of the test split, by target.
        draws: of the test split's sequences.
        shares: [R, trainings] of each training in each replicate.

    Raises:
        ContractError: it answers other windows.
    """
    before = [validation.said(one.traces["validation"], entrant.name) for one in answers]
    after = [test.said(one.traces["test"], entrant.name) for one in answers]
    runs: list[dict[str, WindowScores]] = [{} for _ in answers]
    judged: list[list[float]] = [[] for _ in answers]
    kinds: dict[str, dict[str, dict[str, Estimate]]] = {}
    shown: dict[str, dict[str, Any]] = {}
    for index, target in enumerate(test.targets):
        chosen_on, judged_on = validation.target(index), test.target(index)
        for run, aucs, said_before, said in zip(runs, judged, before, after, strict=True):
            earlier = chosen_on.said(said_before, index)
            run[target] = score_windows(chosen_on, earlier, judged_on, judged_on.said(said, index), draws)
            auc = validation_roc_auc(chosen_on, earlier)
            if auc is not None:
                aucs.append(auc)
        kinds[target] = {
            name: {
                kind: mean_estimate(
                    [
                        duel_estimate(
                            duel, said[:, index].astype(np.float64), test.group, draws if name in RESAMPLED else None
                        )
                        for said in after
                    ],
                    shares,
                )
                for kind, duel in group.items()
            }
            for name, group in duels[target].items()
        }
        shown[target] = _reliability([judged_on.said(said, index) for said in after], runs, target, judged_on.truth)
    targets = {
        target: {score: mean_estimate([run[target].estimates[score] for run in runs], shares) for score in SCORES}
        for target in test.targets
    }
    return Scored(
        entrant=entrant,
        answers=answers,
        runs=runs,
        targets=targets,
        mean={score: mean_estimate([targets[target][score] for target in targets]) for score in SCORES},
        validation=[float(np.mean(aucs)) if aucs else None for aucs in judged],
        kinds=kinds,
        reliability=shown,
    )


def _reliability(
    said: Sequence[Float64Array], runs: Sequence[Mapping[str, WindowScores]], target: str, truth: Any
) -> dict[str, Any]:
    true = np.tile(truth, len(said))
    platts = [run[target].platt for run in runs]
    calibrated = [platt.apply(one) for platt, one in zip(platts, said, strict=True) if platt is not None]
    return {
        "before": reliability(np.concatenate(said), true),
        "after": reliability(np.concatenate(calibrated), true) if len(calibrated) == len(said) else None,
    }


def spread(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean and standard deviation (n - 1) over seeds, and each, for JSON."""
    defined = [value for value in values if value is not None]
    mean, deviation = mean_and_deviation(defined) if defined else (None, None)
    return {
        "mean": rounded(mean),
        "deviation": None if deviation is None or np.isnan(deviation) else rounded(deviation),
        "by_seed": [rounded(value) for value in values],
    }


def score_entry(scored: Scored, target: str, score: str) -> dict[str, Any]:
    """One target's score over the seeds with its own interval, for JSON."""
    values = [run[target].estimates[score].value for run in scored.runs]
    return spread(values) | {"interval": rounded_interval(scored.targets[target][score])}
