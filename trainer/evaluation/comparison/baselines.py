"""Baselines as entrants: tuned once with seed 0, then trained with each further seed at what was found."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainer.baseline import baseline_key, load_baseline, train_baseline
from trainer.baseline_model import BASELINE_FILE, BaselineModel, BaselinesTogether
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.evaluation.comparison.entrants import Entrant, Made, Watch
from trainer.evaluation.traces import Scorer
from trainer.window_features import FeatureKind

FEATURES: tuple[FeatureKind, ...] = ("summary", "engineered")


def baseline_entrant(
    features: FeatureKind, config: TrainingConfig, dataset: Dataset, folder: Path, trials: int, watch: Watch
) -> Entrant:
    """A baseline to be trained with any seed; what it becomes is kept in a folder beside the networks.

    Args:
        features: which family; the entrant's name.
        config: of the sequence models: its windows, shares and targets.
        dataset: to train on.
        folder: of the kept models.
        trials: of its search.
        watch: told what begins.
    """

    def trained(seed: int) -> BaselineModel:
        key = baseline_key(replace(config, seed=seed), dataset.info.fingerprint)
        place = folder / f"{features}-{trials}-{key}"
        if (place / BASELINE_FILE).exists():  # it is written last
            return load_baseline(place)
        found = None if seed == 0 else trained(0).about.parameters
        watch.tell(f"{features}, seed {seed}: " + (f"searching, {trials} trials" if found is None else "training"))
        with watch.progress(f"{features}, seed {seed}: features", 100, "%") as advance:
            run = train_baseline(
                dataset.path, config, features, trials=trials, seed=seed, params=found, on_features=advance
            )
        run.model.save(place)
        return load_baseline(place)

    def make(seed: int) -> Made:
        model = trained(seed)
        about = model.about
        digest = hashlib.sha256("".join(about.model_sha256).encode()).hexdigest()
        key = baseline_key(replace(config, seed=seed), dataset.info.fingerprint)
        facts = {
            "features": len(about.feature_names),
            "parameters": about.parameters,
            "trials": len(about.trials),
            "train_windows": about.train_windows,
        }
        return Made(f"{features}-{key}-{digest[:8]}", model, facts)

    def together(scorers: Sequence[Scorer]) -> BaselinesTogether:
        return BaselinesTogether([one for one in scorers if isinstance(one, BaselineModel)])

    return Entrant(features, "baseline", make, together)
