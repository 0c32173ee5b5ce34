"""A whole comparison on a dataset folder: recipes and both baselines, and the files it leaves.

metrics = compare_on_dataset("data/line", {"lstm": load_config("lstm")}, seeds=5, ...)
write_comparison(metrics, Path("runs/comparison"))
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.whole_file import write_whole
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.integrity import check_integrity
from trainer.evaluation.comparison.baselines import FEATURES, baseline_entrant
from trainer.evaluation.comparison.compare import REPLICATES, compare
from trainer.evaluation.comparison.entrants import Preprocessors, Watch, common_targets, network_entrant
from trainer.evaluation.comparison.page import as_markdown
from trainer.evaluation.kept_traces import KeptTraces
from trainer.experiments.weights import Weights

METRICS_FILE = "metrics.json"
PAGE_FILE = "comparison.md"


def compare_on_dataset(
    data: str | Path,
    recipes: Mapping[str, TrainingConfig],
    *,
    seeds: int,
    trials: int,
    weights: Path,
    traces: Path,
    watch: Watch,
    replicates: int = REPLICATES,
) -> dict[str, Any]:
    """Compare recipes with the `summary` and `engineered` baselines.

    Args:
        data: folder of a dataset.
        recipes: by name, one at least; the baselines take windows, shares and targets from the first.
        seeds: trainings of each contestant: 0, 1, …
        trials: of each baseline's search.
        weights: folder of the trained models; what is there is not trained again.
        traces: folder of their answers; what is there is not asked again.
        watch: told how far it is.
        replicates: of the bootstrap.

    Returns:
        What `metrics.json` says.

    Raises:
        ContractError: no dataset there, one that was altered, splits that leak, or kept files that are none.
        UsageError: recipes that do not answer the same windows, a split without sequences, or one for training and
            validation without both classes of a target.
        TrainingError: as for `train_on_dataset`.
    """
    dataset = Dataset.open(data)
    targets = common_targets(dataset, recipes)
    config = next(iter(recipes.values()))
    check_integrity(dataset, config.window_rules(dataset.info.period_ms))
    kept, fitted = Weights(weights), Preprocessors(dataset)
    entrants = [network_entrant(name, one, dataset, kept, watch, fitted) for name, one in recipes.items()]
    entrants += [baseline_entrant(features, config, dataset, weights, trials, watch) for features in FEATURES]
    return compare(
        dataset,
        entrants,
        targets=targets,
        seeds=seeds,
        settings={target: config.alert_settings(target) for target in targets},
        kept=KeptTraces(traces),
        watch=watch,
        replicates=replicates,
    )


def write_comparison(metrics: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write `metrics.json` and `comparison.md` into a folder, made if there is none.

    Raises:
        OSError: the system will not take them.
    """
    texts = {
        METRICS_FILE: json.dumps(metrics, indent=2, allow_nan=False, ensure_ascii=False) + "\n",
        PAGE_FILE: as_markdown(metrics),
    }
    for name, text in texts.items():
        write_whole(folder / name, text.encode())
    return [folder / name for name in texts]
