"""What a sticker and a slag-film fracture do to the thermocouples, and their truth.

ΔT_i = A_i·[exp(−u²/2) − β·exp(−(u−u₁)²/(2σ₂²))] with u = (t − t₀ − z_i/V_s − |x_i − x₀|/V_h)/w, added to the
*reading* of thermocouple i: the widths are those of measured traces. A film fracture is the same kernel in
the upper row alone, of the same sizes, so that no property of one thermocouple tells the two apart.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.schedule import Scheduled
from trainer.line.signals import Grid, Signal, draw, lag

LOWER_LEFT = 2  # thermocouples in order: upper left, upper right, lower left, lower right


@dataclass(frozen=True, slots=True)
class Kernel:
    """The trace in the four thermocouples: upper left, upper right, lower left, lower right.

    Attributes:
        amplitude_k: rise of each; 0 where it is not touched.
        arrival_s: when the rise peaks at each.
        beta: the fall below normal as a share of the rise.
        width_s: w.
        dip_at: u₁.
        dip_width: σ₂.
    """

    amplitude_k: tuple[float, ...]
    arrival_s: tuple[float, ...]
    beta: float
    width_s: float
    dip_at: float
    dip_width: float

    def reading_k(self, time_s: Signal, thermocouple: int) -> Signal:
        """Change of one thermocouple's reading in K, at any times."""
        u = (time_s - self.arrival_s[thermocouple]) / self.width_s
        dip = np.exp(-((u - self.dip_at) ** 2) / (2 * self.dip_width**2))
        return self.amplitude_k[thermocouple] * (np.exp(-(u**2) / 2) - self.beta * dip)

    @property
    def touched(self) -> list[int]:
        """The thermocouples that show anything."""
        return [index for index, amplitude in enumerate(self.amplitude_k) if amplitude > 0]

    def first_s(self, thermocouples: list[int], at: float) -> float:
        """When the earliest of some thermocouples has come to u = `at`."""
        return min(self.arrival_s[index] for index in thermocouples) + at * self.width_s

    def gone_s(self, spread: float) -> float:
        """When the fall is `spread` of its own widths past its deepest point, everywhere."""
        return max(self.arrival_s[i] for i in self.touched) + (self.dip_at + spread * self.dip_width) * self.width_s

    def shifted(self, seconds: float) -> "Kernel":
        """The same trace, later."""
        return replace(self, arrival_s=tuple(arrival + seconds for arrival in self.arrival_s))


@dataclass(frozen=True, slots=True)
class Pattern:
    """One sticker or film fracture and its truth; seconds count from the first scan.

    Attributes:
        kind: `sticker` or `film_fracture`.
        kernel: what the thermocouples show.
        t0_s: where the kernel's time begins, at the meniscus.
        vertical_m_min: V_s, speed of the tear downwards.
        friction_kn: rise of the mould friction while it lasts.
        onset_s: the earlier of the first visible trace (u = `onset_at` at the thermocouple reached first) and t₀. For a
            slow tear away from the columns it is t₀, the tear's time at the meniscus, and the first visible trace comes
            some seconds later (at 1.0 to 1.35 m/min in 6 % of stickers more than 5 s, in 1 % more than 10 s).
        detectable_s: from when it can be told from its look-alike: the lower row has begun to answer.
        impact_s: the tear reaches the mould exit; None if it heals, and for a film fracture.
        end_s: impact, or end of the pattern.
        ignore_until_s: from when windows are used again.
        healed: a sticker that stops by itself.
    """

    kind: Literal["sticker", "film_fracture"]
    kernel: Kernel
    t0_s: float
    vertical_m_min: float
    friction_kn: float
    onset_s: float
    detectable_s: float
    impact_s: float | None
    end_s: float
    ignore_until_s: float
    healed: bool


def draw_pattern(config: LineConfig, event: Scheduled, speed_m_min: float, rng: np.random.Generator) -> Pattern:
    """Draw a sticker or film fracture whose first trace shows at the scheduled time.

    Args:
        config: the figures.
        event: what and when.
        speed_m_min: casting speed at that time; V_s = r·V keeps to it.
        rng: draws everything else.
    """
    sticker, is_sticker = config.sticker, event.type == "sticker"
    ratio = draw(rng, sticker.fast_ratio if rng.random() < sticker.fast_share else sticker.speed_ratio)
    vertical_m_s = ratio * speed_m_min / 60
    kernel = _draw_kernel(config, is_sticker, vertical_m_s, rng)
    friction_share = sticker.friction_share if is_sticker else config.film_fracture.friction_share
    friction_kn = draw(rng, sticker.friction_kn) if rng.random() < friction_share else 0.0
    drawn_healed = bool(rng.random() < sticker.healed_share)
    healed = is_sticker and (drawn_healed if event.healed is None else event.healed)
    t0 = event.onset_s - min(0.0, kernel.first_s(kernel.touched, sticker.onset_at))
    kernel = kernel.shifted(t0)
    impact = t0 + config.geometry.mould_exit_m / vertical_m_s if is_sticker and not healed else None
    end = kernel.gone_s(2) if impact is None else impact
    lower_row = [index for index in kernel.touched if index >= LOWER_LEFT]
    detectable = kernel.first_s(lower_row, sticker.detectable_at) if is_sticker else event.onset_s
    return Pattern(
        kind="sticker" if is_sticker else "film_fracture",
        kernel=kernel,
        t0_s=t0,
        vertical_m_min=vertical_m_s * 60,
        friction_kn=friction_kn,
        onset_s=event.onset_s,
        detectable_s=min(max(detectable, event.onset_s), end),
        impact_s=impact,
        end_s=end,
        ignore_until_s=max(end, kernel.gone_s(3)) + (sticker.ignore_s if is_sticker else 0.0),
        healed=healed,
    )


def _draw_kernel(config: LineConfig, is_sticker: bool, vertical_m_s: float, rng: np.random.Generator) -> Kernel:
    """The trace with arrivals counted from t₀."""
    sticker, geometry = config.sticker, config.geometry
    half_m, columns = geometry.width_m / 2, (-geometry.column_m, geometry.column_m)
    # A tear opens as a V, so it runs sideways no slower than down.
    sideways_m_s = draw(rng, (max(sticker.sideways_m_min[0] / 60, vertical_m_s), sticker.sideways_m_min[1] / 60))
    near = int(rng.integers(2))
    x0_m = (1 if near else -1) * rng.uniform(0.0, half_m - 0.05)
    upper = [0.0, 0.0]
    upper[near] = draw(rng, sticker.amplitude_k)
    far_k = upper[near] * draw(rng, sticker.far_share)
    upper[1 - near] = 0.0 if rng.random() < sticker.one_column_share else far_k
    lower = draw(rng, sticker.lower_share) if is_sticker else 0.0
    rows = (geometry.upper_row_m, geometry.lower_row_m)
    return Kernel(
        amplitude_k=(upper[0], upper[1], upper[0] * lower, upper[1] * lower),
        arrival_s=tuple(z / vertical_m_s + abs(x - x0_m) / sideways_m_s for z in rows for x in columns),
        beta=draw(rng, sticker.beta),
        width_s=draw(rng, sticker.width_s),
        dip_at=draw(rng, sticker.dip_at),
        dip_width=draw(rng, sticker.dip_width),
    )


def friction_rise(patterns: list[Pattern], grid: Grid) -> Signal:
    """Extra friction in kN over one sequence: on while a pattern lasts, with soft flanks."""
    extra = np.zeros(grid.steps)
    for pattern in patterns:
        lasting = (grid.time_s >= pattern.onset_s) & (grid.time_s < pattern.end_s)
        extra[lasting] += pattern.friction_kn
    return lag(extra, 5.0, grid.step_s)
