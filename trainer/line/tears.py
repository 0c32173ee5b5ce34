"""Stickers, and the two ways in which slag film looks like one."""

from dataclasses import dataclass

import numpy as np

from trainer.datasets.records import Difficulty
from trainer.line.figures.base import Span
from trainer.line.happenings import STICKER, Happening, Profile, Scene, plateau
from trainer.line.kernels import Kernel
from trainer.line.schedule import Scheduled, draw_difficulty
from trainer.line.signals import draw


@dataclass(frozen=True, slots=True)
class _Shape:
    """A tear but for its speed: what a sticker and the film patch matched to it have in common."""

    amplitude_k: tuple[float, ...]
    x0_m: float
    sideways: float
    beta: float
    width_s: float
    dip_at: float
    dip_width: float


def sticker(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """The tear moves down slower than the strand, row after row, and breaks out at the mould exit unless it heals."""
    figures = scene.config.sticker
    difficulty = event.difficulty or draw_difficulty(figures.shares, rng)
    shape, friction_kn = _sticker_like(scene, difficulty, rng)
    ratio = draw(rng, figures.fast_ratio if rng.random() < figures.fast_share else figures.speed_ratio)
    drawn_healed = bool(rng.random() < figures.healed_share)
    healed = drawn_healed if event.healed is None else event.healed
    vertical_m_s = ratio * scene.speed_m_s
    kernel, t0 = _placed(scene, shape, vertical_m_s, event.onset_s)
    impact = None if healed else t0 + scene.config.geometry.mould_exit_m / vertical_m_s
    end = kernel.gone_s(2) if impact is None else impact
    lower = [index for index in kernel.touched if scene.array.row(index) > 0] or kernel.touched
    detectable = kernel.first_s(lower, figures.detectable_at)
    return Happening(
        type="sticker",
        target=STICKER,
        onset_s=event.onset_s,
        detectable_s=min(max(detectable, event.onset_s), end),
        end_s=end,
        ignore_until_s=max(end, kernel.gone_s(3)) + figures.ignore_s,
        sensors=_sensors(scene, kernel, friction_kn),
        impact_s=impact,
        healed=healed,
        difficulty=difficulty,
        pair=event.pair,
        recordable=not healed,
        profiles=_friction(friction_kn, event.onset_s, end),
        kernels=(kernel,),
    )


def film_patch(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """Rise and fall that move with the strand; in a pair, the very traces of its sticker."""
    figures = scene.config.film_patch
    if event.pair is None:
        shape, friction_kn = _shape(scene, figures.amplitude_k, zero_area=False, rng=rng), 0.0
    else:
        shape, friction_kn = _sticker_like(scene, "order", rng)
    kernel, _ = _placed(scene, shape, draw(rng, figures.speed_ratio) * scene.speed_m_s, event.onset_s)
    return _film("film_patch", scene, event, kernel, friction_kn)


def film_fracture(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """Rise and fall in the upper row alone, of a sticker's size."""
    figures = scene.config.film_fracture
    shape = _shape(scene, figures.amplitude_k, zero_area=False, rng=rng)
    kernel, _ = _placed(scene, shape, scene.speed_m_s, event.onset_s)
    upper = tuple(k if scene.array.row(index) == 0 else 0.0 for index, k in enumerate(kernel.amplitude_k))
    kernel = Kernel(upper, kernel.arrival_s, kernel.beta, kernel.width_s, kernel.dip_at, kernel.dip_width)
    friction_kn = draw(rng, scene.config.sticker.friction_kn) if rng.random() < figures.friction_share else 0.0
    return _film("film_fracture", scene, event, kernel, friction_kn)


def _sticker_like(scene: Scene, difficulty: Difficulty, rng: np.random.Generator) -> tuple[_Shape, float]:
    figures = scene.config.sticker
    shape = _shape(scene, getattr(figures.amplitude_k, difficulty), zero_area=difficulty == "order", rng=rng)
    shows = rng.random() < draw(rng, getattr(figures.friction_share, difficulty))
    size_kn = draw(rng, figures.friction_kn)
    return shape, size_kn if shows else 0.0


def _shape(scene: Scene, amplitude_k: Span, *, zero_area: bool, rng: np.random.Generator) -> _Shape:
    figures, array = scene.config.sticker, scene.array
    half_m, columns = scene.config.geometry.width_m / 2, len(array.columns_m)
    x0_m = rng.uniform(-(half_m - 0.05), half_m - 0.05)
    near = min(range(columns), key=lambda column: abs(array.columns_m[column] - x0_m))
    top, far, lower = draw(rng, amplitude_k), draw(rng, figures.far_share), draw(rng, figures.lower_share)
    is_one_column = rng.random() < figures.one_column_share
    of_column = [1.0 if column == near else (0.0 if is_one_column else far) for column in range(columns)]
    beta = draw(rng, (max(figures.beta[0], 1 / figures.dip_width[1]), figures.beta[1]) if zero_area else figures.beta)
    width_s, dip_at, dip_width = draw(rng, figures.width_s), draw(rng, figures.dip_at), draw(rng, figures.dip_width)
    amplitude = tuple(top * of_column[array.column(i)] * lower ** array.row(i) for i in range(array.count))
    return _Shape(amplitude, x0_m, rng.random(), beta, width_s, dip_at, 1 / beta if zero_area else dip_width)


def _placed(scene: Scene, shape: _Shape, vertical_m_s: float, onset_s: float) -> tuple[Kernel, float]:
    """The trace in time, and when the tear began at the meniscus.

    Its first trace (u = `onset_at` where it arrives first) shows at the onset. Of a slow tear away from the columns
    that would be later than its beginning; then the onset is the beginning, and the first trace follows by seconds.
    """
    figures, array = scene.config.sticker, scene.array
    # A tear opens as a V, so it runs sideways no slower than down.
    slowest_m_s = max(figures.sideways_m_min[0] / 60, vertical_m_s)
    sideways_m_s = slowest_m_s + shape.sideways * (max(figures.sideways_m_min[1] / 60, slowest_m_s) - slowest_m_s)
    arrival = tuple(
        array.rows_m[array.row(index)] / vertical_m_s
        + abs(array.columns_m[array.column(index)] - shape.x0_m) / sideways_m_s
        for index in range(array.count)
    )
    kernel = Kernel(shape.amplitude_k, arrival, shape.beta, shape.width_s, shape.dip_at, shape.dip_width)
    t0 = onset_s - min(0.0, kernel.first_s(kernel.touched, figures.onset_at))
    return kernel.shifted(t0), t0


def _film(kind: str, scene: Scene, event: Scheduled, kernel: Kernel, friction_kn: float) -> Happening:
    end = kernel.gone_s(2)
    return Happening(
        type=kind,
        target=None,
        onset_s=event.onset_s,
        detectable_s=event.onset_s,
        end_s=end,
        ignore_until_s=kernel.gone_s(3),
        sensors=_sensors(scene, kernel, friction_kn),
        look_alike_of="sticker",
        pair=event.pair,
        profiles=_friction(friction_kn, event.onset_s, end),
        kernels=(kernel,),
    )


def _friction(size_kn: float, onset_s: float, end_s: float) -> tuple[Profile, ...]:
    return (plateau("friction_kn", onset_s, end_s, size_kn, 10.0),) if size_kn else ()


def _sensors(scene: Scene, kernel: Kernel, friction_kn: float) -> tuple[str, ...]:
    names = tuple(scene.array.names[index] for index in kernel.touched)
    return (*names, "mould_friction_kn") if friction_kn else names
