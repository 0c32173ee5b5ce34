"""A profile as a page: `profile.json` for machines, `profile.md` and `profile.svg` for people."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from models.whole_file import write_whole
from trainer.profiling.records import Bar, Profile
from trainer.profiling.timing import Timing
from trainer.svg import BLUE, GREEN, GREY, ORANGE, SKY, svg_style, svg_text

_COLOURS = (BLUE, GREEN, ORANGE, SKY, GREY)

PROFILE_FILE = "profile.json"

INT8_CAVEAT = (
    "The int8 graph was made to be timed. Whether it loses nothing and may be released, `trainer quantize` decides."
)


def write_page(profile: Profile, folder: Path) -> list[Path]:
    """Write `profile.json`, `profile.md` and `profile.svg` into a folder.

    Returns:
        The files written.
    """
    contents = {
        PROFILE_FILE: msgspec.json.format(msgspec.json.encode(profile.as_dict()), indent=2) + b"\n",
        "profile.md": as_markdown(profile).encode(),
        "profile.svg": as_svg(profile.timings).encode(),
    }
    for name, data in contents.items():
        write_whole(folder / name, data)
    return [folder / name for name in contents]


def as_markdown(profile: Profile) -> str:
    """The profile as Markdown: the bars, what the model is, and one table of times."""
    lines = [f"# What {profile.model} costs", "", *(f"- {bar_sentence(bar)}" for bar in profile.bars), ""]
    lines += ["| | |", "| --- | --- |", *(f"| {what} | {value} |" for what, value in facts(profile)), ""]
    lines += ["![Windows a second and latency by batch](profile.svg)", ""]
    lines += [f"Measured on {profile.measured}. {how(profile)}", ""]
    head, *rows = timing_rows(profile.timings)
    lines += [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]
    if profile.left_out:
        lines += ["", "Not measured here:", ""]
        lines += [f"- {what}: {why}." for what, why in profile.left_out.items()]
    return "\n".join([*lines, ""])


def bar_sentence(bar: Bar) -> str:
    """Whether a bar was kept, in words."""
    word = "kept" if bar.kept else "NOT kept"
    return f"{bar.what}: {bar.measured_ms:.2f} ms, less than {bar.limit_ms:g} ms asked for: {word}"


def facts(profile: Profile) -> list[tuple[str, str]]:
    """What there is to say beside the times, as (what, value)."""
    rows, sensors = profile.window
    found = [
        ("model", f"{profile.model_type or 'unknown'}, {rows} rows x {sensors} sensors, graph {profile.model_sha256}"),
        ("parameters", "unknown" if profile.parameters is None else f"{profile.parameters:,}"),
    ]
    if profile.operations is not None:
        found.append(("floating-point operations a window", f"{profile.operations.total:,}"))
    found += [(f"size, {name}", f"{size:,} bytes") for name, size in profile.bytes.items()]
    for work, peak in profile.memory.items():
        mib, imported = peak.peak_bytes / 2**20, peak.imported_bytes / 2**20
        told = f"{mib:.0f} MiB, of which {imported:.0f} before the bundle was read"
        found.append((f"peak memory, {work}, {peak.batch} windows at once", told))
    if profile.training is not None:
        cost = profile.training
        minutes = f"{cost.seconds / 60:.1f} minutes, {cost.epochs:g} epochs on {cost.device or 'an unknown device'}"
        if cost.processor_seconds is not None:
            minutes += f", {cost.processor_seconds / 60:.1f} processor minutes"
        found.append((f"one training ({cost.source}, mean of {cost.runs})", minutes))
    if profile.int8_moved is not None:
        found.append(("int8: an answer moves by at most", f"{profile.int8_moved:.2g}"))
    return found


def table(profile: Profile) -> list[str]:
    """The profile for a terminal of 80 columns."""
    lines = [
        f"{profile.model}, {profile.machine.processor}, {profile.machine.cores} cores, load {profile.machine.load}"
    ]
    lines += [f"  {what:<38}{value}" for what, value in facts(profile)[1:3]]
    lines.append(f"{'runtime':<24}{'batch':>6}{'p50 ms':>9}{'p95 ms':>9}{'p99 ms':>9}{'windows/s':>11}")
    for timing in profile.timings:
        took = timing.latency_ms
        lines.append(
            f"{_name(timing):<24}{timing.batch:>6}{took.p50:>9.2f}{took.p95:>9.2f}{took.p99:>9.2f}"
            f"{timing.windows_per_second.median:>11,.0f}"
        )
    lines += [f"{what}: not measured here" for what in profile.left_out]
    return lines + [bar_sentence(bar) for bar in profile.bars]


def as_svg(timings: Sequence[Timing]) -> str:
    """Windows a second (with the rounds' range) and median and p99 latency, by batch; a colour a runtime."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(_name(timing) for timing in timings))
    with svg_style(axes_titlesize=9, axes_grid=True, grid_alpha=0.25):
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        for place, name in enumerate(names):
            mine = [timing for timing in timings if _name(timing) == name]
            colour, batches = _COLOURS[place % len(_COLOURS)], [timing.batch for timing in mine]
            speeds = [timing.windows_per_second for timing in mine]
            left.fill_between(
                batches, [one.low for one in speeds], [one.high for one in speeds], color=colour, alpha=0.2, linewidth=0
            )
            left.plot(batches, [one.median for one in speeds], ".-", color=colour, label=name)
            right.plot(batches, [timing.latency_ms.p50 for timing in mine], ".-", color=colour)
            right.plot(batches, [timing.latency_ms.p99 for timing in mine], ".:", color=colour)
        for axes, title in ((left, "windows a second: median and range"), (right, "ms a run: median, p99 dotted")):
            axes.set_xscale("log", base=2)
            axes.set_title(title)
            axes.set_xlabel("windows at once")
        left.set_ylim(bottom=0)
        right.set_yscale("log")
        left.legend(frameon=False, fontsize=7)
        return svg_text(figure)


def how(profile: Profile) -> str:
    """Where and how it was measured, without the date."""
    machine, versions = profile.machine, profile.versions
    told = ", ".join(f"{name} {versions[name]}" for name in versions if name.startswith(("torch", "onnxruntime")))
    rounds = profile.timings[0].rounds
    where = (
        f"Measured on {machine.processor}, {machine.cores} cores, {machine.system}, "
        f"{machine.gpu or 'no CUDA GPU'}, with {told}, on {profile.windows}."
    )
    how = (
        f"One thread each; after warming, {rounds} rounds in which the runtimes take turns. Latencies are by the clock "
        "on the wall over all runs; processor time is the calling thread's, which other processes do not lengthen."
    )
    parts = [where, how]
    if machine.load is not None:
        busy = "" if machine.load < machine.cores else ", more than there are cores: the latencies are not its best"
        parts.append(f"Load of the machine {machine.load:g} before and {profile.load_after or 0:g} after{busy}.")
    return " ".join(parts + [INT8_CAVEAT] * (profile.int8_moved is not None))


def timing_rows(timings: Sequence[Timing]) -> list[tuple[str, ...]]:
    """The table of times; the first row is the header."""
    heads = ("runtime", "batch", "runs", "p50 ms", "p95 ms", "p99 ms", "processor p50 / p99 ms")
    head = (*heads, "round p50, lowest to highest ms", "windows a second, lowest to highest")
    return [head, *(_row(timing) for timing in timings)]


def _row(timing: Timing) -> tuple[str, ...]:
    took, rounds, speed = timing.latency_ms, timing.round_p50_ms, timing.windows_per_second
    own = timing.processor_ms
    return (
        _name(timing),
        str(timing.batch),
        str(timing.runs),
        *(f"{value:.2f}" for value in (took.p50, took.p95, took.p99)),
        "-" if own is None else f"{own.p50:.2f} / {own.p99:.2f}",
        f"{rounds.low:.2f} to {rounds.high:.2f}",
        f"{speed.median:,.0f}, {speed.low:,.0f} to {speed.high:,.0f}",
    )


def _name(timing: Timing) -> str:
    return timing.runtime if timing.device == "cpu" else f"{timing.runtime} on {timing.device}"
