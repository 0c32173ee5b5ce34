"""What an ablation came to: each change's difference from the recipe, paired by seed, with its interval.

The interval is Student's, over the differences of the seeds: it covers the luck of training on these sequences, not the
choice of the sequences. A bootstrap over three seeds would know only 10 different samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy.stats import t as student

from trainer.experiments.ablation import Ablation, Variant
from trainer.experiments.runs import RunRow, mean_and_deviation

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """A score with the change less the same seed's score without it.

    Attributes:
        mean: over the seeds.
        low: lower end of the 95 % interval; None of one seed.
        high: upper end; None of one seed.
        by_seed: one a seed.
    """

    mean: float
    low: float | None
    high: float | None
    by_seed: tuple[float, ...]

    @property
    def is_told(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, slots=True)
class ChangeResult:
    """One change's runs beside the recipe's.

    Attributes:
        name: of the change; None for the recipe itself, whose differences are 0.
        part: of the whole that it changes.
        about: what is different, in words.
        other_windows: whether it was judged on other windows than the recipe.
        same: whether it left the recipe as it was.
        parameters: numbers of the model.
        processor_minutes: of one training, mean over the seeds.
        scores: by score, the mean over the seeds.
        differences: by score: `validation.roc_auc`, `test.roc_auc`, `test.pr_auc` (means over the targets), and
            `test.roc_auc.TARGET`.
    """

    name: str | None
    part: str
    about: str
    other_windows: bool
    same: bool
    parameters: int
    processor_minutes: float
    scores: Mapping[str, float]
    differences: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class AblationResult:
    """All changes of one recipe.

    Attributes:
        recipe: its name.
        model_type: its architecture.
        about: what the ablation's file says of the whole.
        data: line, seed, fingerprint of the dataset.
        seeds: how many.
        changes: the recipe itself first.
        left_out: by change, why it was not made.
    """

    recipe: str
    model_type: str
    about: str
    data: Mapping[str, Any]
    seeds: int
    changes: tuple[ChangeResult, ...]
    left_out: Mapping[str, str]

    @property
    def targets(self) -> list[str]:
        """In the order of the dataset."""
        return [key.removeprefix("test.roc_auc.") for key in self.changes[0].scores if key.startswith("test.roc_auc.")]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"confidence": CONFIDENCE, **asdict(self)}


def differences(ablation: Ablation, rows: Mapping[str | None, Sequence[RunRow]]) -> AblationResult:
    """Compare every change with the recipe.

    Args:
        ablation: what was run.
        rows: by change, in the order of the seeds, as `run_ablation` returns them.
    """
    recipe, info = ablation.variants[0], ablation.dataset.info
    return AblationResult(
        recipe=ablation.recipe,
        model_type=recipe.config.model_type,
        about=ablation.about,
        data={"line": info.line, "seed": info.seed, "fingerprint": info.fingerprint},
        seeds=len(rows[None]),
        changes=tuple(_result(variant, rows[variant.name], rows[None]) for variant in ablation.variants),
        left_out=dict(ablation.left_out),
    )


def difference(changed: Sequence[float], recipe: Sequence[float]) -> Difference:
    """The difference of two scores, one pair a seed, with Student's 95 % interval."""
    by_seed = tuple(one - other for one, other in zip(changed, recipe, strict=True))
    mean, deviation = mean_and_deviation(by_seed)
    if len(by_seed) < 2:
        return Difference(mean, None, None, by_seed)
    reach = float(student.ppf((1 + CONFIDENCE) / 2, len(by_seed) - 1)) * deviation / len(by_seed) ** 0.5
    return Difference(mean, mean - reach, mean + reach, by_seed)


def _result(variant: Variant, rows: Sequence[RunRow], recipe: Sequence[RunRow]) -> ChangeResult:
    mine, other = [_scores(row) for row in rows], [_scores(row) for row in recipe]
    return ChangeResult(
        name=variant.name,
        part=variant.part,
        about=variant.about,
        other_windows=variant.other_windows,
        same=[row.key for row in rows] == [row.key for row in recipe],
        parameters=rows[0].parameters,
        processor_minutes=mean_and_deviation(row.processor_seconds / 60 for row in rows)[0],
        scores={key: mean_and_deviation(scores[key] for scores in mine)[0] for key in mine[0]},
        differences={
            key: difference([scores[key] for scores in mine], [scores[key] for scores in other]) for key in mine[0]
        },
    )


def _scores(row: RunRow) -> dict[str, float]:
    return {
        "validation.roc_auc": row.validation.roc_auc,
        "test.roc_auc": row.test.roc_auc,
        "test.pr_auc": row.test.pr_auc,
        **{f"test.roc_auc.{target}": scores["roc_auc"] for target, scores in row.test.targets.items()},
    }
