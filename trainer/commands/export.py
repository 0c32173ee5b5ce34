"""`trainer export`: a bundle's graph built anew from its weights, with the alerts it has or with newly chosen ones."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.errors import UsageError
from trainer.commands.bundle_folder import bundle_name, require_bundle_folder
from trainer.commands.console import progress, require_writable, tell

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.manifest import Manifest
    from trainer.alert_choice import ChosenAlerts
    from trainer.reexport import Rechoice, Reexported


def command(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder, the name of a released one, or `current`.")],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    name: Annotated[str | None, typer.Option(help="The new bundle's name; the folder's if not given.")] = None,
    version: Annotated[str | None, typer.Option(help="The new bundle's version; the old one's if not given.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Choose alert thresholds and on-delays anew, on this dataset's validation split.", show_default=False
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="With --data: change a field of the recipe's alert.TARGET."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    r"""Export a bundle's model once more; nothing is trained.

    For a change of the exporter: weights, thresholds, metrics and golden
    windows stay. For another budget of false alerts, or another line, with
    --data: thresholds and on-delays are chosen anew. The new graph is checked
    against torch and against the golden windows. A quantised bundle has no
    weights: export the one it was made from, and quantise again.

    Examples:
      trainer export casting-cnn-lstm --out runs/again
      trainer export current --out runs/calmer --data data/line \
        --set alert.quality.false_per_strand_day=1
    """
    _refuse_idle(data, assignments or [])
    name = bundle_name(name, out)
    require_bundle_folder(out, force=force)
    require_writable(out)

    from models.bundle import read
    from trainer.reexport import reexport

    source = read(bundle)
    if data and name == source.manifest.name and version in {None, source.manifest.version}:
        raise UsageError(
            f"expected another --version than {source.manifest.version}, or another --name, with --data, got neither: "
            "bundles that alert differently must not go by one name"
        )
    with _rechoice(source, data, assignments or []) as rechoice:
        made = reexport(source, out, name=name, version=version, rechoice=rechoice)
    tell(_result(source, made), _sentences(source, made), as_json=as_json)
    for warning in made.alerts.warnings() if made.alerts else []:
        print(f"warning: {warning}", file=sys.stderr)


def _refuse_idle(data: Path | None, assignments: list[str]) -> None:
    """Refuse changes that would have no effect."""
    if assignments and data is None:
        raise UsageError("expected --data with --set, got none: nothing else of a bundle can be changed here")
    if other := [one for one in assignments if not one.strip().startswith("alert.")]:
        raise UsageError(f"expected alert.TARGET.FIELD=VALUE, got `{other[0]}` at --set: the rest was trained")


@contextmanager
def _rechoice(source: "Bundle", data: Path | None, assignments: list[str]) -> "Iterator[Rechoice | None]":
    if data is None:
        yield None
        return
    from trainer.config import with_changes
    from trainer.datasets.dataset import Dataset
    from trainer.reexport import Rechoice
    from trainer.retrain import recipe_of
    from trainer.sequence_dataset import check_alerts

    targets = source.manifest.targets
    config, dataset = with_changes(recipe_of(source), assignments), Dataset.open(data)
    check_alerts(config, targets)
    settings = {target: config.alert_settings(target) for target in targets}
    with progress("choosing thresholds", len(dataset.sequences("validation")), "sequences") as advance:
        yield Rechoice(dataset, settings, len(os.sched_getaffinity(0)), advance)


def _result(source: "Bundle", made: "Reexported") -> dict[str, Any]:
    manifest = made.bundle.manifest
    result: dict[str, Any] = {
        "path": str(made.bundle.path),
        "model": manifest.model,
        "model_sha256": manifest.model_sha256,
        "of": {"model": source.manifest.model, "model_sha256": source.manifest.model_sha256},
        "bytes": {"before": len(source.model), "after": len(made.bundle.model)},
        "parity": {str(count): off for count, off in made.parity.items()},
    }
    if made.alerts:
        result["alert"] = {target: asdict(policy) for target, policy in made.alerts.policies.items()}
        result["validation"] = made.alerts.metrics()
        result["warnings"] = made.alerts.warnings()
    return result


def _sentences(source: "Bundle", made: "Reexported") -> list[str]:
    manifest, worst = made.bundle.manifest, max(made.parity.values())
    batches = ", ".join(map(str, made.parity))
    said = [
        f"{made.bundle.path}: {manifest.model}, model {manifest.model_sha256}, before {source.manifest.model_sha256}",
        f"within {worst:.1e} of torch at batches {batches}; the golden windows are answered as before",
    ]
    return said + [_chosen(target, made.alerts, source.manifest) for target in manifest.targets if made.alerts]


def _chosen(target: str, alerts: "ChosenAlerts", before: "Manifest") -> str:
    policy, score, settings = alerts.policies[target], alerts.scores[target], alerts.settings[target]
    old = before.alert[target]
    ahead = f", {settings.min_lead_s:g} s ahead or more" if settings.min_lead_s else ""
    return (
        f"{target}: opens at {policy.open:g} after {policy.on_delay_ms / 1000:g} s, before at {old.open:g} after "
        f"{old.on_delay_ms / 1000:g} s; catches {score.count_with_lead(settings.min_lead_s)} of {len(score.outcomes)} "
        f"validation events{ahead}, {score.false_per_strand_day or 0.0:.2f} false alerts a strand-day, "
        f"{settings.false_per_strand_day:g} allowed"
    )
