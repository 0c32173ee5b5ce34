"""Short sequences of any sensors, and dirt so dense that a few minutes show all of it."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from models.messages import SensorScan
from trainer.datasets.records import SequenceData
from trainer.dirt.figures import KINDS, Dirt

SENSORS = ("alpha_c", "beta_mm", "gamma_kn", "delta_pct")

DENSE = {
    "drift": {"rate": 60, "duration_min": (0.1, 1)},
    "stuck": {"rate": 60, "duration_min": (0.1, 1)},
    "missing_sensor": {"rate": 60, "duration_min": (0.1, 1)},
    "drop_out": {"rate": 0.05},
    "quality": {"rate": 0.05},
    "gap": {"rate": 60, "duration_s": (1, 20)},
    "clock_skew": {"rate": 100},
    "backfill": {"rate": 60, "outage_s": (5, 30), "wait_s": (1, 8), "beside_share": 0.2, "in_order_share": 0.3},
    "late": {"rate": 0.05, "delay_s": (0.2, 8)},
    "duplicate": {"rate": 0.05, "delay_s": (0, 1)},
    "rubbish": {"rate": 0.05},
}


def dense(*kinds: str, **figures: dict[str, object]) -> Dirt:
    """Plenty of some kinds (none named: of all), nothing of the others."""
    chosen = {kind: DENSE[kind] | figures.get(kind, {}) for kind in kinds or KINDS}
    return Dirt.model_validate({kind: chosen.get(kind, {"rate": 0}) for kind in KINDS})


def line(rows: int, *, period_ms: int = 500, seed: int = 1, start_ms: int = 1_700_000_000_000) -> SequenceData:
    """A sequence without dirt but with a few values missing, as any plant's."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(50, 5, (rows, len(SENSORS))), 1).astype(np.float32)
    values[rng.random(values.shape) < 0.02] = np.nan
    jitter = rng.integers(0, max(1, period_ms // 5), rows)
    return SequenceData(
        sequence_id=f"sequence-{seed}",
        strand_id="p1.c1.s1",
        event_time_ms=start_ms + np.arange(rows, dtype=np.int64) * period_ms + jitter,
        values=values,
        seq=np.arange(rows, dtype=np.int64) + 7,
        heat_id=tuple(f"H{row // 100}" for row in range(rows)),
        strand_position_m=np.arange(rows) * 0.01,
    )


sequences = st.builds(
    line,
    st.integers(0, 400),
    period_ms=st.sampled_from((100, 500, 2000)),
    seed=st.integers(0, 1000),
    start_ms=st.sampled_from((0, 1_700_000_000_000)),
)
seeds = st.integers(0, 1000)


def row_of(scan: SensorScan, sensors: Sequence[str]) -> np.ndarray:
    """What a model is given of a scan: float32 [sensors], NaN where missing or bad."""
    read = [None if scan.quality.get(name) == "bad" else scan.values.get(name) for name in sensors]
    return np.array([np.nan if value is None else value for value in read], np.float32)
