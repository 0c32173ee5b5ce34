"""`trainer export`: a bundle's graph built anew from its weights."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import UsageError
from trainer.commands.bundle_folder import bundle_name, require_bundle_folder
from trainer.commands.console import require_writable, tell

if TYPE_CHECKING:
    from models.bundle import Bundle
    from models.manifest import Manifest
    from trainer.alert_choice import ChosenAlerts
    from trainer.reexport import Rechoice


def command(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder, the name of a released one, or `current`.")],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    name: Annotated[str | None, typer.Option(help="The new bundle's name; the folder's if not given.")] = None,
    version: Annotated[str | None, typer.Option(help="The new bundle's version; the old one's if not given.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Choose the alert thresholds anew, on this dataset's validation split.", show_default=False),
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a field of `alert.TARGET` for that.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Export a bundle's model once more, after the exporter changed; nothing is trained.

    Weights, metrics and golden windows stay; so do the alert thresholds, unless
    data is given. Then they are chosen anew, for the budget of false alerts the
    bundle was trained for or another. The new graph is checked against torch
    and against the golden windows.

    Example:
      trainer export casting-cnn-lstm --out runs/again
      trainer export current --out runs/calmer --version 2 --data data/line \
        --set alert.quality.false_per_strand_day=1
    """
    if assignments and data is None:
        raise UsageError("expected --data with --set, got none: nothing else of a bundle can be changed here")
    if other := [one for one in assignments or [] if not one.strip().startswith("alert.")]:
        raise UsageError(f"expected alert.TARGET.FIELD=VALUE, got `{other[0]}` at --set: the rest was trained")
    name = bundle_name(name, out)
    require_bundle_folder(out, force=force)
    require_writable(out)

    from models.bundle import read
    from trainer.reexport import reexport

    source = read(bundle)
    made = reexport(source, out, name=name, version=version, rechoice=_rechoice(source, data, assignments or []))
    manifest, worst = made.bundle.manifest, max(made.parity.values())
    result = {
        "path": str(out),
        "model": manifest.model,
        "model_sha256": manifest.model_sha256,
        "of": {"model": source.manifest.model, "model_sha256": source.manifest.model_sha256},
        "bytes": {"before": len(source.model), "after": len(made.bundle.model)},
        "parity": {str(count): off for count, off in made.parity.items()},
    }
    batches = ", ".join(map(str, made.parity))
    sentences = [
        f"{out}: {manifest.model}, model {manifest.model_sha256}, before {source.manifest.model_sha256}",
        f"within {worst:.1e} of torch at batches {batches}; the golden windows are answered as before",
    ]
    if made.alerts:
        result["alert"] = {target: asdict(policy) for target, policy in made.alerts.policies.items()}
        result["validation"] = made.alerts.metrics()
        result["warnings"] = made.alerts.warnings()
        sentences += [_sentence(target, made.alerts, source.manifest) for target in made.alerts.policies]
        sentences += [f"warning: {warning}" for warning in made.alerts.warnings()]
    tell(result, sentences, as_json=as_json)


def _rechoice(source: "Bundle", data: Path | None, assignments: list[str]) -> "Rechoice | None":
    from trainer.config import with_changes
    from trainer.datasets.dataset import Dataset
    from trainer.reexport import Rechoice
    from trainer.retrain import check_data, recipe_of

    if data is None:
        return None
    config, dataset = with_changes(recipe_of(source), assignments), Dataset.open(data)
    check_data(source.manifest, dataset)
    return Rechoice(dataset, {target: config.alert_settings(target) for target in source.manifest.targets})


def _sentence(target: str, alerts: "ChosenAlerts", before: "Manifest") -> str:
    policy, score, settings = alerts.policies[target], alerts.scores[target], alerts.settings[target]
    old = before.alert[target]
    return (
        f"{target}: opens at {policy.open:g} after {policy.on_delay_ms / 1000:g} s, before at {old.open:g} after "
        f"{old.on_delay_ms / 1000:g} s; catches {score.caught} of {len(score.outcomes)} validation events, "
        f"{score.false_alerts} false alerts, {settings.false_per_strand_day:g} a strand-day allowed"
    )
