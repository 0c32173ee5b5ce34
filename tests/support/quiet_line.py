"""A simulated strand on which one effect can be measured: no noise, nothing that was not asked for."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.features import CASTING_SENSORS
from trainer.line.config import LineConfig
from trainer.line.schedule import Scheduled
from trainer.line.simulator import SimulatedSequence, simulate_sequence

NAMES = [sensor.name for sensor in CASTING_SENSORS]
TCS = [name for name in NAMES if "_tc_" in name]
FLUXES = [name for name in NAMES if "heat_flux" in name]


def quiet(**sections: dict[str, object]) -> LineConfig:
    """A line without instrument noise and missing values, changed where a test says so."""
    noise = dict.fromkeys(
        ("level_mm", "speed_m_min", "tundish_temp_k", "tundish_weight_t", "stopper_pct", "argon_nl_min",
         "back_pressure_kpa", "flux_mw_m2", "water_flow_l_min", "water_delta_k", "friction_kn", "frequency_hz",
         "zone_flow_share", "surface_k", "missing_share"),
        0.0,
    )  # fmt: skip
    still_tc = {"drift_k": 0.0, "noise_upper_k": (0.0, 0.0), "noise_lower_k": (0.0, 0.0)}
    merged = {"instruments": noise, **sections}
    merged["thermocouples"] = still_tc | sections.get("thermocouples", {})
    # Pieces out of the middle of a sequence, whatever their length: no start, no end, no release.
    return LineConfig.model_validate({"whole_from_s": 1e5, "clogging_release": {"per_hour": 0.0}, **merged})


def run(
    config: LineConfig, schedule: Sequence[Scheduled] = (), duration_s: float = 900, seed: int = 4
) -> SimulatedSequence:
    """A piece with just what is scheduled."""
    return simulate_sequence(config, strand=1, index=2, duration_s=duration_s, seed=seed, schedule=schedule)


def column(made: SimulatedSequence, name: str) -> npt.NDArray[np.float64]:
    """One sensor's values, [scans]."""
    return made.sequence.values[:, NAMES.index(name)].astype(np.float64)


def changes(
    config: LineConfig, event: Scheduled, duration_s: float = 900, seed: int = 4
) -> dict[str, npt.NDArray[np.float64]]:
    """What one event does to each sensor: everything else is drawn alike with and without it."""
    with_it, without = run(config, [event], duration_s, seed), run(config, (), duration_s, seed)
    return {name: column(with_it, name) - column(without, name) for name in NAMES}


def change(config: LineConfig, event: Scheduled, name: str) -> npt.NDArray[np.float64]:
    """What one event does to one sensor."""
    return changes(config, event)[name]
