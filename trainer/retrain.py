"""New data, the current bundle's recipe, a new bundle, and the question whether it may take the current one's place.

    current = models.bundle.read("current")
    config = recipe_of(current)
    retrained = retrain(current, Path("data/new"), config, out, Gate())
    if retrained.passed: promote(...)

The current bundle is judged first: where the held-out sequences cannot tell, nothing is trained. Both are judged on the
new data's test split, by `trainer.evaluation`, with the alert thresholds they carry: the current one's were chosen on
its own data, the new one's on the new validation split.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from models.bundle import CURRENT, Bundle, make_current, resolve
from models.errors import UsageError, mismatch
from models.manifest import Manifest
from models.runtime import Predictor
from trainer.config import TrainingConfig, from_dict
from trainer.datasets.dataset import Dataset
from trainer.errors import GateError
from trainer.evaluation.evaluate import Evaluation, evaluate_bundle
from trainer.evaluation.traces import sensor_columns
from trainer.export import RECORD_FILE, Exported, export_run
from trainer.gate import Gate, Side, TargetVerdict, compare
from trainer.train_sequence import EpochReport, StepReport, train_on_dataset

_STAMP = "%Y%m%dT%H%M%SZ"
_STAMPED = re.compile(r"-\d{8}T\d{6}Z$")

Say = Callable[[str], None]
"""Told what begins now."""


@dataclass(frozen=True, slots=True)
class Retrained:
    """A new bundle next to the current one.

    Attributes:
        exported: the new bundle.
        current: the current one on the new data's test split.
        new: the new one there.
        verdicts: the gate's answer by target.
    """

    exported: Exported
    current: Evaluation
    new: Evaluation
    verdicts: dict[str, TargetVerdict]

    @property
    def passed(self) -> bool:
        """Whether the new one may take the current one's place."""
        return all(verdict.passed for verdict in self.verdicts.values())

    @property
    def reasons(self) -> list[str]:
        """Why not; empty if it may."""
        return [reason for verdict in self.verdicts.values() for reason in verdict.reasons]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "passed": self.passed,
            "reasons": self.reasons,
            "gate": {target: verdict.as_dict() for target, verdict in self.verdicts.items()},
            "current": self.current.as_dict(),
            "new": self.new.as_dict(),
        }


def recipe_of(bundle: Bundle) -> TrainingConfig:
    """The configuration a bundle was trained with, for the targets it has.

    Raises:
        UsageError: the bundle does not hold it, or it names fields that this trainer does not have.
    """
    path = bundle.path / RECORD_FILE
    remedy = "take a bundle that `trainer train` wrote, with all its files"
    try:
        record = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        settings = msgspec.convert(record["config"], dict[str, Any])
    except FileNotFoundError:
        raise UsageError(f"expected the recipe of {bundle.manifest.model}, got no file at {path}: {remedy}") from None
    except (KeyError, msgspec.MsgspecError) as error:
        raise UsageError(f"expected a table `config`, got none ({error}) at {path}: {remedy}") from None
    return replace(from_dict(settings, str(path)), targets=list(bundle.manifest.targets))


def check_data(manifest: Manifest, dataset: Dataset) -> None:
    """Refuse a dataset that a bundle cannot be retrained on.

    Raises:
        UsageError: it lacks a sensor or target of the bundle, has one sensor more, or another scan period.
    """
    info = dataset.info
    for target in manifest.targets:
        if target not in info.targets:
            raise UsageError(mismatch(f"target `{target}` of {manifest.model}", info.targets, str(dataset.path)))
    sensor_columns(manifest, dataset)
    known = set(manifest.sensor_names)
    if more := [sensor.name for sensor in info.sensors if sensor.name not in known]:
        raise UsageError(
            mismatch(f"the {len(known)} sensors of {manifest.model}", f"also {', '.join(more)}", str(dataset.path))
            + ": a model of other sensors is made by `trainer train`"
        )


def retrain(
    current: Bundle,
    data: Path,
    config: TrainingConfig,
    out: Path,
    gate: Gate,
    *,
    name: str,
    version: str,
    say: Say = lambda _: None,
    on_epoch: EpochReport | None = None,
    on_step: StepReport | None = None,
) -> Retrained:
    """Train, export and judge; changes nothing but `out`.

    Args:
        current: the bundle to be replaced.
        data: the new dataset.
        config: the recipe, see `recipe_of`.
        out: the new bundle's folder.
        gate: the rule's figures.
        name: the new bundle's.
        version: the new bundle's.
        say: told what begins.
        on_epoch: as for training.
        on_step: as for training.

    Raises:
        UsageError: data that does not fit the bundle, or a split without windows of both classes.
        GateError: the held-out sequences cannot tell; nothing was trained.
        TrainingError: training cannot go on.
        ExportError: the graph does not compute what the model does.
    """
    dataset = Dataset.open(data)
    check_data(current.manifest, dataset)
    say(f"judging {current.manifest.model} on the held-out sequences of {data}")
    before = evaluate_bundle(Predictor(current), dataset, at_once=config.threads)
    lacking = [f"{name}: {one.evidence}" for name, one in judge(before, before, config, gate).items() if one.evidence]
    if lacking:
        raise GateError(f"{'; '.join(lacking)} at {data}: nothing was trained; give a longer range or a later one")
    say(f"training by the recipe of {current.manifest.model}")
    run = train_on_dataset(data, config, on_epoch=on_epoch, on_step=on_step)
    say("exporting, comparing with torch, choosing thresholds on validation")
    exported = export_run(run, out, name=name, version=version, recipe=f"bundle {current.manifest.model}")
    say(f"judging {exported.bundle.manifest.model} on the same sequences")
    after = evaluate_bundle(Predictor(exported.bundle), dataset, at_once=config.threads)
    return Retrained(exported, before, after, judge(before, after, config, gate))


def judge(current: Evaluation, new: Evaluation, config: TrainingConfig, gate: Gate) -> dict[str, TargetVerdict]:
    """The gate's answer for each target of the current bundle, with the lead and the budget of the recipe."""
    verdicts = {}
    for target, scores in current.targets.items():
        settings = config.alert_settings(target)
        before, after = (Side.of(entry, settings.min_lead_s) for entry in (scores, new.targets[target]))
        verdicts[target] = compare(
            target, before, after, gate, lead_s=settings.min_lead_s, budget=settings.false_per_strand_day
        )
    return verdicts


def next_version(version: str, now: datetime) -> str:
    """The version after: one more, or, where it is no whole number, the time."""
    return str(int(version) + 1) if version.isdecimal() else now.strftime(_STAMP)


def next_name(name: str, now: datetime) -> str:
    """A new bundle's name: the old one's with the time instead of the old one's time, if it had one."""
    return f"{_STAMPED.sub('', name)}-{now.strftime(_STAMP)}"


def promote(retrained: Retrained, judged: Bundle, models: Path) -> str:
    """Make the new bundle current where that was asked and earned.

    Args:
        retrained: what the gate let pass.
        judged: the bundle it was judged against.
        models: folder of the released bundles.

    Returns:
        Why it was not made current; empty if it was.
    """
    manifest, folder = retrained.exported.bundle.manifest, retrained.exported.bundle.path
    if folder.resolve() != (models / manifest.name).resolve():
        return f"only a bundle in {models} can be current"
    found = resolve(CURRENT, models)
    if found.resolve() != judged.path.resolve():
        return f"it was judged against {judged.manifest.model}, and current is {found.name}"
    make_current(manifest.name, models)
    return ""


def evidence_notes(retrained: Retrained) -> list[str]:
    """What whoever reads the comparison must know of it."""
    notes = []
    if retrained.current.own_line:
        notes.append(
            f"{retrained.current.manifest.model} was trained on this very dataset, on its other splits: the data are "
            "not new to it"
        )
    elif known := _known_sequences(retrained.current.manifest, retrained.new.dataset):
        notes.append(
            f"{known} of the {retrained.new.sequences} held-out sequences lie in a time that "
            f"{retrained.current.manifest.model} was trained on: the comparison favours it; give a later range"
        )
    quantised = retrained.current.manifest.training.get("quantised")
    if quantised:
        notes.append(
            f"{retrained.current.manifest.model} is {quantised['kind']}, the new one float32: `trainer quantize` it "
            "before it takes the same load"
        )
    return [*notes, *retrained.exported.warnings]


def _known_sequences(manifest: Manifest, dataset: Dataset) -> int:
    """Held-out sequences that lie in a time that a bundle's training saw of their strand.

    A simulated line's strands and times are the same whatever its seed, so there the seed tells.
    """
    info, told = dataset.info, manifest.training
    if told.get("line") != info.line or (not info.imported and told.get("line_seed") != info.seed):
        return 0
    seen = told.get("strands", {})
    return sum(
        info.start_ms <= seen[info.strand_id][1] and info.end_ms >= seen[info.strand_id][0]
        for info in dataset.sequences("test")
        if info.strand_id in seen
    )


def results(retrained: Retrained, refused: str) -> dict[str, Any]:
    """All that is told, for JSON."""
    manifest = retrained.exported.bundle.manifest
    return {
        "path": str(retrained.exported.bundle.path),
        "model": manifest.model,
        "model_sha256": manifest.model_sha256,
        "promoted": retrained.passed and not refused,
        "not_promoted_because": "; ".join(retrained.reasons) or refused or None,
        "notes": evidence_notes(retrained),
        **retrained.as_dict(),
    }
