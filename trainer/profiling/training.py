"""What training a bundle took, from its own record or from the rows of a series."""

import statistics
from collections.abc import Sequence
from typing import Any

import msgspec

from models import bundle as bundles
from models.bundle import Bundle
from trainer.config import from_dict
from trainer.experiments.runs import RunRow, configuration_key
from trainer.export import RECORD_FILE
from trainer.profiling.records import TrainingCost


def training_record(bundle: Bundle) -> dict[str, Any]:
    """training.json, if the bundle has one."""
    if RECORD_FILE not in bundle.manifest.files:
        return {}
    told: dict[str, Any] = msgspec.json.decode(bundles.read_file(bundle, RECORD_FILE), type=dict[str, Any])
    return told


def training_cost(bundle: Bundle, rows: Sequence[RunRow]) -> TrainingCost | None:
    """The cost of one training; None where nothing tells.

    Args:
        bundle: as read.
        rows: trainings; those of the bundle's configuration on its data count, whatever their seeds.
    """
    record = training_record(bundle)
    config, history = record.get("config", {}), record.get("history", [])
    if rows and config and bundle.manifest.data_fingerprint:
        key = configuration_key(from_dict(config, RECORD_FILE), bundle.manifest.data_fingerprint)
        mine = [row for row in rows if row.configuration == key]
        if mine:
            return TrainingCost(
                source="runs.jsonl",
                runs=len(mine),
                epochs=statistics.fmean(row.epochs for row in mine),
                seconds=round(statistics.fmean(row.seconds for row in mine), 1),
                processor_seconds=round(statistics.fmean(row.processor_seconds for row in mine), 1),
                threads=mine[0].threads,
                device=config.get("device"),
            )
    if not history:
        return None
    seconds = round(sum(entry["seconds"] for entry in history), 1)
    return TrainingCost(RECORD_FILE, 1, len(history), seconds, None, config.get("threads"), config.get("device"))
