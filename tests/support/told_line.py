"""A dataset small enough to count by hand, with every tag an event can have. One scan a second, 200 scans."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.features import Sensor
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event, SequenceData
from trainer.datasets.writer import DatasetWriter

SENSORS = (
    Sensor("casting_speed_m_min", "m/min", 0, 3),
    Sensor("sec_cool_zone2_flow_l_min", "L/min", 0, 800),
    Sensor("mould_tc_upper_left_c", "°C", 0, 400),
)
HOUR_MS = 3_600_000


def told_sequence(name: str, number: int, rows: int, first: int, strand: str | None = None) -> SequenceData:
    """Scans whose temperatures count on from `first`; speed and flow swing."""
    count = np.arange(rows)
    columns = (1.2 + 0.1 * np.sin(count / 7 + number), 300 + 5 * np.cos(count / 5 + number), first + count)
    return SequenceData(
        sequence_id=name,
        strand_id=strand or f"p1.c1.s{number}",
        event_time_ms=count.astype(np.int64) * 1000,
        values=np.stack(columns, axis=1).astype(np.float32),
        seq=count.astype(np.int64),
        heat_id=("H1",) * rows,
        strand_position_m=count * 0.02,
    )


def told_event(name: str, sequence: str, kind: str, target: str | None, onset_s: float, end_s: float) -> Event:
    """An event that can be told from its onset on and had no impact."""
    onset_ms, end_ms = round(onset_s * 1000), round(end_s * 1000)
    return Event(
        event_id=name, sequence_id=sequence, strand_id="p1.c1.s1", type=kind, target=target, onset_ms=onset_ms,
        detectable_ms=onset_ms, impact_ms=None, end_ms=end_ms, ignore_until_ms=end_ms, healed=False, position_m=1.0,
    )  # fmt: skip


def told_events() -> list[Event]:
    """Two cracks, two stickers, two look-alikes, one false record."""
    crack = told_event("a-crack", "a", "crack", "quality", 10, 30)
    healed = told_event("a-sticker", "a", "sticker", "sticker", 50, 60)
    sticker = told_event("b-sticker", "b", "sticker", "sticker", 10, 20)
    missed = told_event("c-crack", "c", "crack", "quality", 5, 26)
    film = told_event("a-film", "a", "film_fracture", None, 70, 75)
    return [
        replace(
            crack, detectable_ms=15_000, impact_ms=30_000, ignore_until_ms=40_000, difficulty="order",
            sensors=(SENSORS[2].name,), recorded_type="crack", recorded_at_ms=30_000 + 2 * HOUR_MS,
            recorded_position_m=1.5,
        ),
        replace(healed, detectable_ms=52_000, healed=True, difficulty="partial", pair_id="p1"),
        replace(
            film, look_alike_of="sticker", pair_id="p1", sensors=(SENSORS[0].name,),
            recorded_type="sticker", recorded_at_ms=75_000 + HOUR_MS,
        ),
        replace(
            sticker, impact_ms=20_000, ignore_until_ms=25_000,
            recorded_type="crack", recorded_at_ms=20_000 + 4 * HOUR_MS, recorded_position_m=math.nan,
        ),
        replace(
            told_event("b-false", "b", "false_record", None, 30, 30), recorded_type="crack", recorded_at_ms=HOUR_MS
        ),
        replace(missed, detectable_ms=6_000, impact_ms=26_000, difficulty="summary"),
        replace(told_event("c-step", "c", "speed_step", None, 35, 45), pair_id="alone"),
    ]  # fmt: skip


def write_told_line(path: Path) -> Dataset:
    """Sequence a (100 scans, train), b and c (50 each, validation and test), each on a strand of its own.

    Missing: of 200 scans one speed (in a) and 75 flows (25 in a, all of b).
    """
    events = told_events()
    with DatasetWriter(
        path, line="line/test", seed=4, period_ms=1000, sensors=SENSORS, targets=("sticker", "quality")
    ) as writer:
        for number, (name, rows, first, split) in enumerate(
            [("a", 100, 0, "train"), ("b", 50, 100, "validation"), ("c", 50, 150, "test")]
        ):
            data = told_sequence(name, number, rows, first)
            if name == "a":
                data.values[3, 0] = np.nan
                data.values[0:50:2, 1] = np.nan
            if name == "b":
                data.values[:, 1] = np.nan
            writer.add(data, [event for event in events if event.sequence_id == name], split)
    return Dataset.open(path)


def write_imported_line(path: Path) -> Dataset:
    """As an importer writes: one type of defect, nothing else known, nothing missing."""
    with DatasetWriter(
        path, line="import/test", seed=1, period_ms=1000, sensors=SENSORS, targets=("defect",)
    ) as writer:
        for number, name in enumerate("abc"):
            event = told_event(f"{name}-1", name, "anomaly", "defect", 20, 30 + number)
            writer.add(told_sequence(name, number, 60, 10 * number), [event])
    return Dataset.open(path)
