"""Secondary cooling and the pyrometer: what a zone does shows once the steel has come to the straightener."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.figures.plant import Cooling
from trainer.line.happenings import Happening, total
from trainer.line.signals import Grid, Signal, Streams, draw, lag, wander
from trainer.line.speed import Casting


@dataclass(frozen=True, slots=True, eq=False)
class Spray:
    """The zones and the surface, each float64 [steps].

    Attributes:
        zone2_l_min: water flow of zone 2.
        zone5_l_min: water flow of zone 5.
        surface_c: what the pyrometer sees, scale included.
    """

    zone2_l_min: Signal
    zone5_l_min: Signal
    surface_c: Signal


def spray(config: LineConfig, grid: Grid, casting: Casting, happenings: Sequence[Happening], streams: Streams) -> Spray:
    """Zone flows that follow the speed, and T_s = T₀ + a·ΔV − Σ b_j·w_j(t − z_j/V)."""
    own, rng, cooling = streams.of_strand("cooling"), streams.of_sequence("cooling"), config.cooling
    share = casting.speed_m_min / 1.2
    surface = draw(own, cooling.surface_c) + cooling.surface_per_speed_k * (casting.speed_m_min - 1.2)
    flows = []
    added = (total(happenings, "zone2_share", grid), total(happenings, "zone5_share", grid))
    for span, distance_m, effect_k, fault in (
        (cooling.zone2_l_min, config.geometry.zone2_to_pyrometer_m, cooling.zone2_k_per_share, added[0]),
        (cooling.zone5_l_min, config.geometry.zone5_to_pyrometer_m, cooling.zone5_k_per_share, added[1]),
    ):
        wandering = wander(rng, grid.steps, cooling.wander_share, cooling.wander_tau_s, grid.step_s)
        flow_share = lag(share * (1 + fault), cooling.lag_s, grid.step_s) + wandering
        # The steel now at the pyrometer left the zone `distance_m` ago; before the start the first value stands.
        surface = surface - effect_k * np.interp(
            casting.position_m - distance_m, casting.position_m, flow_share - 1, left=flow_share[0] - 1
        )
        flows.append(draw(own, span) * flow_share)
    return Spray(flows[0], flows[1], surface + _scale(cooling, grid, rng))


def _scale(cooling: Cooling, grid: Grid, rng: np.random.Generator) -> Signal:
    """Patches of scale that pass the pyrometer and look cold."""
    dips = np.zeros(grid.steps)
    duration_s = grid.steps * grid.step_s
    for _ in range(int(rng.poisson(cooling.scale_per_hour * duration_s / 3600))):
        first = int(rng.integers(grid.steps))
        length = max(1, int(draw(rng, cooling.scale_s) / grid.step_s))
        depth_k = draw(rng, cooling.scale_k)
        dips[first : first + length] = np.minimum(dips[first : first + length], -depth_k)
    return dips
