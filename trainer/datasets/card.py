"""The dataset card: its facts in words and tables."""

from trainer.datasets.card_layout import Section
from trainer.datasets.describe import DatasetFacts
from trainer.datasets.event_facts import DIFFICULTIES, UNTAGGED, EventCount, PlantRecords, Spread
from trainer.datasets.records import SPLITS

BALANCE, SENSORS = "Class balance", "Sensors"

_NUMBERS = ("train", "valid.", "test", "all", "/100 h")
"""Short, because names of types are long and a line is not."""


def sections(facts: DatasetFacts) -> list[Section]:
    """All that the card says, in its order; what a dataset has nothing of is left out."""
    leads = _leads(facts)
    return [
        _head(facts),
        _splits(facts),
        _balance(facts),
        _defects(facts),
        _look_alikes(facts),
        _difficulty(facts),
        *([] if leads is None else [leads]),
        _records(facts.events.records),
        _sensors(facts),
    ]


def _head(facts: DatasetFacts) -> Section:
    info = facts.info
    told = {
        None: "no; --verify recomputes the fingerprint",
        True: "yes: the fingerprint recomputed is the same",
        False: "ALTERED",
    }
    window_s = facts.window_ms / 1000
    kept = f"none: no readings in two splits, and a window of {window_s:g} s between splits on every strand"
    simulated = () if info.imported else ("Simulated: what holds here need not hold on a plant.",)
    return Section(
        title=f"Dataset {info.line}, seed {info.seed}",
        rows=(
            (
                "size",
                f"{facts.strand_hours:,.1f} strand-hours on {_count(facts.strands, 'strand')}, {facts.rows:,} scans",
            ),
            ("scans", f"{len(info.sensors)} sensors every {info.period_ms:g} ms"),
            ("targets", ", ".join(info.targets) or "none"),
            ("fingerprint", info.fingerprint),
            ("verified", told[facts.verified] + (f": {facts.altered}" if facts.altered else "")),
            ("leaks", "; ".join(facts.leaks) or kept),
        ),
        notes=simulated,
    )


def _splits(facts: DatasetFacts) -> Section:
    rows = [
        (split.split, str(split.sequences), f"{split.strand_hours:,.1f}", f"{split.rows:,}") for split in facts.splits
    ]
    total = (
        "all",
        str(sum(split.sequences for split in facts.splits)),
        f"{facts.strand_hours:,.1f}",
        f"{facts.rows:,}",
    )
    note = "A casting sequence belongs to one split, whole."
    return Section("Splits", ("split", "sequences", "strand-hours", "scans"), (*rows, total), (note,))


def _balance(facts: DatasetFacts) -> Section:
    rows = [
        (
            row.target,
            row.split,
            f"{row.positive:,}",
            percent(row.positive, row.scans),
            percent(row.left_out, row.scans),
            percent(row.negative, row.scans),
        )
        for row in facts.balance
    ]
    note = (
        f"Windows by the scan they end at, one every {facts.info.period_ms} ms. Left out: from the first trace until "
        "detectable, and after the end until the trace has gone."
    )
    header = ("target", "split", "positive windows", "positive", "left out", "negative")
    return Section(BALANCE, header, tuple(rows), (note,), texts=2)


def _defects(facts: DatasetFacts) -> Section:
    counts = [count for count in facts.events.counts if count.target is not None]
    if not counts:
        return Section("Defects", notes=("None.",))
    notes = []
    if healed := {count.type: count.healed for count in counts if count.healed}:
        notes.append(f"Healed by themselves: {_listed(healed)}.")
    notes.append("How many in 100 strand-hours (/100 h) is of all splits together.")
    if facts.events.pairs:
        notes.append(f"{_count(facts.events.pairs, 'defect')} matched to a look-alike.")
    rows = tuple((count.type, count.target or "", *_numbers(count, facts)) for count in counts)
    return Section("Defects", ("type", "target", *_NUMBERS), rows, tuple(notes), texts=2)


def _look_alikes(facts: DatasetFacts) -> Section:
    title = "Look-alikes, which must not alarm"
    counts = [count for count in facts.events.counts if count.target is None]
    if not counts:
        return Section(title, notes=("None.",))
    rows = tuple((count.type, ", ".join(count.imitates) or "-", *_numbers(count, facts)) for count in counts)
    return Section(title, ("type", "imitates", *_NUMBERS), rows, texts=2)


def _numbers(count: EventCount, facts: DatasetFacts) -> tuple[str, ...]:
    often = f"{100 * count.total / facts.strand_hours:.1f}" if facts.strand_hours else "-"
    return (*(f"{count.splits[split]:,}" for split in SPLITS), f"{count.total:,}", often)


def _difficulty(facts: DatasetFacts) -> Section:
    title, found = "Difficulty of the defects", facts.events.difficulty
    tagged = {target: numbers for target, numbers in found.items() if any(numbers[name] for name in DIFFICULTIES)}
    if not tagged:
        return Section(title, notes=("Not tagged in this dataset.",))
    names = [name for name in (*DIFFICULTIES, UNTAGGED) if name != UNTAGGED or any(n[name] for n in tagged.values())]
    rows = [
        (
            target,
            f"{sum(numbers.values()):,}",
            *(percent(numbers[name], sum(numbers.values())) for name in names),
        )
        for target, numbers in tagged.items()
    ]
    note = (
        "What tells a defect from its look-alikes: statistics of each channel over a window (summary), these in part "
        "(partial), or the order in time alone (order). Tagged when it was made, before anything was trained on it."
    )
    return Section(title, ("target", "defects", *names), tuple(rows), (note,))


def _leads(facts: DatasetFacts) -> Section | None:
    rows = [(kind, f"{spread.count:,}", *_spread(spread)) for kind, spread in facts.events.lead_s.items()]
    if not rows:
        return None
    header = ("type", "with impact", "min", "p10", "median", "p90", "max")
    return Section("Lead times, from detectable to impact, in seconds", header, tuple(rows))


def _records(records: PlantRecords | None) -> Section:
    title = "Plant records"
    if records is None:
        return Section(title, notes=("None in this dataset: labels are the truth.",))
    rows = [
        (
            row.type,
            ", ".join(row.written) or "-",
            f"{row.happened:,}",
            f"{row.missed:,}",
            percent(row.missed, row.happened),
            *("-" if spread is None else f"{spread.median:.1f}" for spread in (row.delay_h, row.position_error_m)),
        )
        for row in records.types
    ]
    false = sum(records.false.values())
    told = f" ({_listed(records.false)})" if records.false else ""
    notes = [
        "Labels are the truth; this is what a plant would have had.",
        "Missed: without a record, of the defects that did not heal. Late (after the end) and off are medians.",
        f"Recorded though nothing happened: {false:,}{told}.",
    ]
    if healed := {row.type: row.healed_recorded for row in records.types if row.healed_recorded}:
        notes.append(f"Healed, yet recorded: {_listed(healed)}.")
    if records.look_alikes:
        notes.append(f"Look-alikes recorded as defects: {_listed(records.look_alikes)}.")
    header = ("type", "written as", "true", "missed", "share", "late, h", "off, m")
    return Section(title, header, tuple(rows), tuple(notes), texts=2)


def _sensors(facts: DatasetFacts) -> Section:
    rows = [
        (
            sensor.name,
            sensor.unit,
            # + 0.0: a zero has no sign.
            *("-" if value is None else f"{value + 0.0:.4g}" for value in (sensor.min, sensor.median, sensor.max)),
            percent(sensor.missing, 1),
        )
        for sensor in facts.sensors
    ]
    exact = "Medians are of all values."
    note = exact if facts.median_step == 1 else f"Medians are of one value in {facts.median_step}; the rest is of all."
    return Section(SENSORS, ("sensor", "unit", "min", "median", "max", "missing"), tuple(rows), (note,), texts=2)


def percent(part: float, whole: float) -> str:
    """A share for a table; a little is never shown as nothing."""
    if not whole:
        return "-"
    share = 100 * part / whole
    return "0 %" if share == 0 else "< 0.01 %" if share < 0.01 else f"{share:.2f} %"


def _spread(spread: Spread) -> tuple[str, ...]:
    return tuple(f"{value:.1f}" for value in (spread.min, spread.p10, spread.median, spread.p90, spread.max))


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {name}" for name, number in numbers.items())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
