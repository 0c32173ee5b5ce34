"""The pictures of a dataset's card: class balance and events, missing values, examples."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from models.features import stem
from trainer.datasets.card import BALANCE, SENSORS, percent
from trainer.datasets.card_layout import EXAMPLES, Picture
from trainer.datasets.dataset import Dataset
from trainer.datasets.describe import Advance, DatasetFacts
from trainer.datasets.example_pictures import draw_examples, shown_sensors, words
from trainer.datasets.examples import Comparison, Trace, choose, trace
from trainer.datasets.records import SPLITS, Split
from trainer.svg import BLUE, GREEN, GREY, ORANGE, RED, svg_style, svg_text

SPLIT_COLOURS = {"train": BLUE, "validation": ORANGE, "test": GREEN}

MAP_COLUMNS = 160
"""So many columns has the map of missing values at most."""


def pictures(dataset: Dataset, facts: DatasetFacts, advance: Advance = lambda _: None) -> list[Picture]:
    """All pictures of the card; `advance` is told of each example drawn.

    Raises:
        ContractError: a sequence's file is not what the index says.
    """
    made = [
        Picture(
            file="class-balance.svg",
            section=BALANCE,
            title="Class balance and events by type",
            caption="Above, what share of the windows is positive or left out; below, events by type and split.",
            svg=draw_balance(facts),
        )
    ]
    if facts.missing.any():
        made.append(
            Picture(
                file="missing-values.svg",
                section=SENSORS,
                title="Missing values by sensor and casting sequence",
                caption="On the left over all scans, on the right in each casting sequence, split by split in time.",
                svg=draw_missing(facts),
            )
        )
    names: set[str] = set()
    for comparison in comparisons(dataset):
        made.append(_example(dataset, comparison, names))
        advance(1)
    return made


def comparisons(dataset: Dataset) -> list[Comparison]:
    """The examples that are drawn."""
    return choose(dataset.events(), _splits(dataset), dataset.info.targets)


def _splits(dataset: Dataset) -> dict[str, Split]:
    return {entry.sequence_id: entry.split for entry in dataset.sequences()}


def _example(dataset: Dataset, comparison: Comparison, names: set[str]) -> Picture:
    splits = _splits(dataset)
    traces = [trace(dataset, event, splits[event.sequence_id]) for event in comparison.events]
    first, *others = comparison.events
    beside = f" and {', '.join(words(event.type) for event in others)}" if others else ""
    # A type may be any text, a file's name may not; two types must not share a file.
    base = name = "example-" + re.sub(r"[^a-z0-9]+", "-", first.type.lower()).strip("-")
    while name in names:
        name = f"{base}-{len(names)}"
    names.add(name)
    return Picture(
        file=f"{name}.svg",
        section=EXAMPLES,
        title=words(first.type) + beside,
        caption=_caption(traces, comparison, [sensor.name for sensor in dataset.info.sensors]),
        svg=draw_examples(traces, dataset.info.sensors),
    )


def _caption(traces: list[Trace], comparison: Comparison, sensors: list[str]) -> str:
    sentences = []
    for each in traces:
        event = each.event
        told = [
            f"event {event.event_id} of the {each.split} split",
            f"{(event.end_ms - event.onset_ms) / 1000:.0f} s long",
            *([f"difficulty {event.difficulty}"] if event.difficulty is not None else []),
            *(["healed"] if event.healed else []),
        ]
        sentences.append(f"{words(event.type).capitalize()}: {', '.join(told)}.")
    if len(traces) > 1 and traces[0].event.pair_id is not None:
        paired = [words(each.event.type) for each in traces[1:] if each.event.pair_id == traces[0].event.pair_id]
        sentences += [f"Matched to this very defect: {', '.join(paired)}."] if paired else []
    elif len(traces) == 1 and traces[0].event.target is not None:
        sentences.append("Nothing in this dataset is said to imitate it.")
    if not all(each.event.sensors for each in traces):
        sentences.append("Where no sensors are named as touched, those are shown that changed most.")
    touched = {index for each in traces for index in each.touched}
    if hidden := [sensors[index] for index in sorted(touched - set(shown_sensors(traces)))]:
        sentences.append(f"Touched as well, not shown: {', '.join(hidden)}.")
    if comparison.left_out:
        sentences.append(f"Imitated as well by: {', '.join(words(kind) for kind in comparison.left_out)}.")
    return " ".join(sentences)


def draw_balance(facts: DatasetFacts) -> str:
    """Bars of the positive and left-out share by target and split, and of events by type. SVG."""
    counts = facts.events.counts
    with svg_style(axes_titlesize=8.5, axes_linewidth=0.6):
        from matplotlib.figure import Figure

        heights = [0.7 + 0.2 * len(facts.balance), 0.8 + 0.2 * max(len(counts), 1)]
        figure = Figure(figsize=(7.2, sum(heights)), layout="constrained")
        above, below = figure.subplots(2, 1, height_ratios=heights)
        _draw_shares(above, facts)
        _draw_counts(below, facts)
        for axes in (above, below):
            axes.invert_yaxis()
            axes.tick_params(labelsize=7.5, length=2.5, width=0.6)
            axes.spines[["top", "right"]].set_visible(False)
        return svg_text(figure)


def _draw_shares(axes: Any, facts: DatasetFacts) -> None:
    names = [f"{words(row.target)}, {row.split}" for row in facts.balance]
    positive = [100 * row.positive / max(row.scans, 1) for row in facts.balance]
    left_out = [100 * row.left_out / max(row.scans, 1) for row in facts.balance]
    ends = [a + b for a, b in zip(positive, left_out, strict=True)]
    axes.barh(names, positive, color=RED, label="positive")
    axes.barh(names, left_out, left=positive, color=GREY, label="left out")
    for row, (balance, end) in enumerate(zip(facts.balance, ends, strict=True)):
        told = (
            f" {percent(balance.positive, balance.scans)} positive, {percent(balance.left_out, balance.scans)} left out"
        )
        axes.text(end, row, told, va="center", fontsize=7)
    # Room to the right for the words.
    room = 1.7 * max([*ends, 0.01])
    axes.set_xlim(0, room)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= min(100, room)])
    axes.set_xlabel("% of the windows; the rest is negative")
    axes.set_title("Class balance", loc="left")
    _legend_above(axes)


def _draw_counts(axes: Any, facts: DatasetFacts) -> None:
    counts = facts.events.counts
    names = [f"{words(count.type)} ({'defect' if count.target is not None else 'look-alike'})" for count in counts]
    ends = [0] * len(counts)
    for split in SPLITS:
        axes.barh(names, [count.splits[split] for count in counts], left=ends, color=SPLIT_COLOURS[split], label=split)
        ends = [end + count.splits[split] for end, count in zip(ends, counts, strict=True)]
    for row, count in enumerate(counts):
        axes.text(ends[row], row, f" {count.total:,}", va="center", fontsize=7)
    axes.set_xlim(0, 1.12 * max([*ends, 1]))
    axes.set_xlabel("events")
    axes.set_title("Events by type and split", loc="left")
    _legend_above(axes)


def _legend_above(axes: Any) -> None:
    """Beside the title, where no bar can reach."""
    axes.legend(
        frameon=False, fontsize=7.5, ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0, handlelength=1
    )


def draw_missing(facts: DatasetFacts) -> str:
    """Share of missing values: bars by sensor, and a map of sensor by casting sequence. SVG."""
    names = [words(stem(sensor.name)) for sensor in facts.sensors]
    shares = [100 * sensor.missing for sensor in facts.sensors]
    blocks, starts, step = _blocks(facts)
    with svg_style(axes_titlesize=8.5, axes_linewidth=0.6):
        from matplotlib.figure import Figure

        # The map is pixels: more of them than a viewer shows, so that none blurs into its neighbour.
        figure = Figure(figsize=(8.4, 1.3 + 0.19 * len(names)), layout="constrained", dpi=200)
        bars, grid = figure.subplots(1, 2, width_ratios=(1, 1.5), sharey=True)
        bars.barh(range(len(names)), shares, color=BLUE)
        for row, sensor in enumerate(facts.sensors):
            bars.text(shares[row], row, f" {percent(sensor.missing, 1)}", va="center", fontsize=6.5)
        bars.set_xlim(0, 1.4 * max(shares))
        bars.set_yticks(range(len(names)), names)
        bars.set_xlabel("% of all scans")
        bars.set_title("Missing by sensor")
        bars.spines[["top", "right"]].set_visible(False)
        image = grid.imshow(100 * blocks.T, aspect="auto", interpolation="nearest", cmap="cividis", vmin=0)
        worst = "" if step == 1 else f", the worst of each {step}"
        grid.set_xlabel(f"{len(facts.missing):,} casting sequences in the order of time{worst}")
        grid.set_title("Missing by casting sequence")
        for first in list(starts.values())[1:]:
            grid.axvline(first - 0.5, color="white", linewidth=1.2)
        grid.set_xticks([first - 0.5 for first in starts.values()], list(starts), ha="left")
        figure.colorbar(image, ax=grid, label="% of the sequence's scans", pad=0.02)
        for axes in (bars, grid):
            axes.tick_params(labelsize=7, length=2.5, width=0.6)
        grid.tick_params(labelleft=False)
        return svg_text(figure)


def _blocks(facts: DatasetFacts) -> tuple[npt.NDArray[np.float64], dict[str, int], int]:
    """Columns few enough to be seen: [columns, sensors], the first of each split, and how many sequences make one."""
    step = max(1, -(-len(facts.missing) // MAP_COLUMNS))
    starts: dict[str, int] = {}
    columns: list[npt.NDArray[np.float64]] = []
    for split in SPLITS:
        shares = facts.missing[np.array(facts.missing_splits) == split]
        if len(shares):
            starts[split] = len(columns)
            columns += [shares[first : first + step].max(axis=0) for first in range(0, len(shares), step)]
    return np.stack(columns), starts, step
