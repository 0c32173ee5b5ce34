"""What happens when: placed at random within a sequence, in two lanes, never two at once in one lane.

What moves thermocouples, speed or level within seconds shares one lane, what takes minutes the other, so that a slow
one may lie under a fast one. Ladle changes come with the heats, releases of the nozzle with its clogging.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainer.datasets.records import Difficulty
from trainer.line.config import LineConfig
from trainer.line.figures.base import Grade
from trainer.line.figures.defects import Shares

FAST = ("sticker", "depression", "film_fracture", "film_patch", "local_dips", "speed_step", "sen_change", "tc_fault",
        "level_glitch", "shell_thinning")  # fmt: skip
SLOW = ("transverse_crack", "segregation", "internal_crack", "level_retuning", "bulging", "powder_change")
SCHEDULED = FAST + SLOW
TWINS: Mapping[str, str] = {"sticker": "film_patch", "depression": "local_dips"}
"""Of difficulty `order`, each of these brings the look-alike that is matched to it."""
SETTLED_S = 30.0


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One happening to come.

    Attributes:
        type: what it will be.
        onset_s: seconds after the first scan at which its first trace shows.
        healed: force a sticker to heal or not; None draws it.
        difficulty: of a sticker or depression; None draws it.
        pair: name shared with its twin, from which both draw their common figures.
    """

    type: str
    onset_s: float
    healed: bool | None = None
    difficulty: Difficulty | None = None
    pair: str | None = None


def plan(config: LineConfig, duration_s: float, grade: Grade, rng: np.random.Generator) -> list[Scheduled]:
    """Draw what happens in one sequence: Poisson counts at the configured rates, spread evenly over the time.

    What does not fit beside what was drawn before is left out, so very high rates are not reached.

    Args:
        config: rates, margins, spacing.
        duration_s: length of the sequence.
        grade: peritectic steel has more depressions.
        rng: draws counts, difficulty, order and places.

    Returns:
        Happenings in the order of time.
    """
    placed: list[Scheduled] = []
    for lane in (FAST, SLOW):
        drawn = [one for kind in lane for one in _draw(config, kind, duration_s, grade, rng)]
        drawn = [drawn[index] for index in rng.permutation(len(drawn))]
        placed += _place(config, drawn, duration_s, rng)
    kept = {(one.pair, one.type) for one in placed}
    whole = {name for name, _ in kept if all((name, kind) in kept for kind in _couple(name))}
    placed = [one if one.pair in whole else replace(one, pair=None) for one in placed]
    return sorted(placed, key=lambda one: one.onset_s)


def margin_s(config: LineConfig, duration_s: float) -> float:
    """How much of each end of a sequence is kept free."""
    return config.end_margin_s if duration_s >= config.whole_from_s else config.cut_margin_s


def draw_difficulty(shares: Shares, rng: np.random.Generator) -> Difficulty:
    """One difficulty at the configured shares."""
    at = rng.random() * (shares.summary + shares.partial + shares.order)
    if at < shares.summary:
        return "summary"
    return "partial" if at < shares.summary + shares.partial else "order"


def _couple(pair: str | None) -> tuple[str, ...]:
    kind = (pair or "").partition("-")[0]
    return (kind, TWINS.get(kind, kind))


def _draw(config: LineConfig, kind: str, duration_s: float, grade: Grade, rng: np.random.Generator) -> list[Scheduled]:
    per_hour = config.happenings()[kind].per_hour
    if kind == "depression":
        factor = config.depression.peritectic_factor
        per_hour *= (factor if grade == "peritectic" else 1.0) * 4 / (3 + factor)
    drawn = []
    for number in range(int(rng.poisson(per_hour * duration_s / 3600))):
        difficulty = draw_difficulty(getattr(config, kind).shares, rng) if kind in TWINS else None
        pair = f"{kind}-{number}" if difficulty == "order" else None
        drawn.append(Scheduled(kind, 0.0, difficulty=difficulty, pair=pair))
        if pair is not None:
            drawn.append(Scheduled(TWINS[kind], 0.0, pair=pair))
    return drawn


def _place(
    config: LineConfig, drawn: Sequence[Scheduled], duration_s: float, rng: np.random.Generator
) -> list[Scheduled]:
    margin = margin_s(config, duration_s)
    free_s = duration_s - 2 * margin
    fitting: list[tuple[Scheduled, float]] = []
    for one in drawn:
        need_s = reserve_s(config, one.type) + config.spacing_s
        if need_s <= free_s:
            fitting.append((one, need_s))
            free_s -= need_s
    # Uniform order statistics of the free time give every arrangement without overlap the same chance.
    cuts = np.sort(rng.uniform(0, max(free_s, 0.0), size=len(fitting)))
    placed, used_s = [], margin
    for (one, need_s), cut in zip(fitting, cuts, strict=True):
        placed.append(replace(one, onset_s=float(cut) + used_s))
        used_s += need_s
    return placed


def reserve_s(config: LineConfig, kind: str) -> float:
    """The longest time a happening of a type can need, from its onset until windows are used again."""
    if kind in {"sticker", "film_fracture", "film_patch"}:
        return _tear_s(config, kind)
    c = config
    dips = c.depression
    longest: Mapping[str, float] = {
        "depression": _dips_s(config) + dips.swing_before_s[1] + SETTLED_S,
        "local_dips": _dips_s(config) + dips.swing_before_s[1] + SETTLED_S,
        "speed_step": c.speed_step.ramp_s[1] + c.speed_step.settle_s,
        "sen_change": c.sen_change.dip_s[1] + 2 * SETTLED_S,
        "tc_fault": c.tc_fault.lasts_s[1] + SETTLED_S,
        "level_glitch": c.level_glitch.lasts_s[1] + SETTLED_S,
        "shell_thinning": c.shell_thinning.fall_s[1] + c.shell_thinning.back_s + c.shell_thinning.ignore_s,
        "transverse_crack": c.transverse_crack.lasts_s[1] + _transport_s(config) + c.transverse_crack.ignore_s,
        "segregation": c.segregation.lasts_s[1] + 2 * c.segregation.ramp_s + c.segregation.ignore_s,
        "internal_crack": c.internal_crack.lasts_s[1] + _transport_s(config) + c.internal_crack.ignore_s,
        "level_retuning": c.level_retuning.lasts_s[1] + SETTLED_S,
        "bulging": c.bulging.lasts_s[1] + c.bulging.ramp_s + SETTLED_S,
        "powder_change": c.powder_change.lasts_s[1] + 2 * c.powder_change.ramp_s[1] + SETTLED_S,
    }
    return longest[kind]


def _transport_s(config: LineConfig) -> float:
    geometry = config.geometry
    return max(geometry.zone2_to_pyrometer_m, geometry.zone5_to_pyrometer_m) / (config.speed.low_m_min / 60)


def _dips_s(config: LineConfig) -> float:
    figures, slowest_m_s = config.depression, config.speed.low_m_min / 60
    trains = figures.train_s
    longest_s = max(trains.summary[1], trains.partial[1], trains.order[1])
    return longest_s + figures.dip_s[1] * 3 + config.geometry.mould_exit_m / slowest_m_s


def _tear_s(config: LineConfig, kind: str) -> float:
    sticker, geometry = config.sticker, config.geometry
    slowest_m_s = sticker.speed_ratio[0] * config.speed.low_m_min / 60
    sideways_s = geometry.width_m / (sticker.sideways_m_min[0] / 60)
    dip_s = (sticker.dip_at[1] + 3 * sticker.dip_width[1] - sticker.onset_at) * sticker.width_s[1]
    if kind == "film_fracture":
        return sideways_s + dip_s
    if kind == "film_patch":
        slowest_m_s = config.film_patch.speed_ratio[0] * config.speed.low_m_min / 60
    rows_m = geometry.upper_row_m + (config.thermocouples.rows - 1) * geometry.row_spacing_m
    rows_s = rows_m / slowest_m_s + sideways_s + dip_s
    if kind == "film_patch":
        return rows_s
    return max(geometry.mould_exit_m / slowest_m_s, rows_s) + sticker.ignore_s
