"""Heat flux of the mould and its cooling water."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.happenings import Happening, total
from trainer.line.signals import Grid, Signal, Streams, draw, lag, wander
from trainer.line.speed import Casting
from trainer.line.tundish import Melt, Steel

WATER_J_PER_L_K = 4186.0


@dataclass(frozen=True, slots=True, eq=False)
class MouldHeat:
    """Heat taken by the mould, each float64 [steps].

    Attributes:
        flux_mw_m2: mean flux of the broad faces.
        loose_mw_m2: flux of the loose broad face.
        fixed_mw_m2: flux of the fixed broad face.
        water_flow_l_min: cooling water of the mould.
        water_delta_k: its warming.
    """

    flux_mw_m2: Signal
    loose_mw_m2: Signal
    fixed_mw_m2: Signal
    water_flow_l_min: Signal
    water_delta_k: Signal


def water_delta_k(flux_mw_m2: Signal, area_m2: float, flow_l_min: Signal) -> Signal:
    """Warming of the cooling water by the heat balance q·A = ρ·c·Q·ΔT, in K."""
    return flux_mw_m2 * 1e6 * area_m2 / (WATER_J_PER_L_K * flow_l_min / 60)


def face_ratio(config: LineConfig, streams: Streams) -> float:
    """Flux of the strand's loose face over that of its fixed one."""
    return draw(streams.of_strand("faces"), config.heat.face_ratio)


def extract(
    config: LineConfig, grid: Grid, casting: Casting, what: Melt, steel: Steel, happenings: Sequence[Happening],
    streams: Streams,
) -> MouldHeat:  # fmt: skip
    """Flux and water over one sequence: q = q0·(V/1.2)^0.5·(1 + 0.002·ΔSH)·G·F(t)."""
    heat, rng, own = config.heat, streams.of_sequence("heat"), streams.of_strand("heat")
    ratio = face_ratio(config, streams)
    flow_l_min = draw(own, heat.water_flow_l_min)
    grade = draw(rng, heat.peritectic_factor) if what.grade == "peritectic" else 1.0
    speed = lag(casting.speed_m_min, draw(own, heat.speed_lag_s), grid.step_s)
    wandering = 1 + wander(rng, grid.steps, heat.wander_share, draw(rng, heat.wander_tau_s), grid.step_s)
    flux = draw(rng, heat.flux_mw_m2) * (speed / 1.2) ** heat.speed_exponent * grade * wandering
    flux *= 1 + heat.superheat_per_k * (steel.superheat_k - 25)
    flux *= 1 + total(happenings, "flux_share", grid)
    sides = [1 + wander(rng, grid.steps, heat.wander_share / 4, 60.0, grid.step_s) for _ in range(2)]
    loose, fixed = flux * np.sqrt(ratio) * sides[0], flux / np.sqrt(ratio) * sides[1]
    flow = flow_l_min + wander(rng, grid.steps, heat.water_wander_l_min, 120.0, grid.step_s)
    delta = lag(water_delta_k((loose + fixed) / 2, heat.water_area_m2, flow), heat.water_lag_s, grid.step_s)
    return MouldHeat(flux, loose, fixed, flow, delta)
