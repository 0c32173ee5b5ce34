"""Depressions and longitudinal cracks, and the dips that look like them but do not travel."""

from dataclasses import replace

import numpy as np

from trainer.line.figures.base import Span
from trainer.line.happenings import QUALITY, Happening, Profile, Scene
from trainer.line.kernels import Kernel
from trainer.line.schedule import Scheduled, draw_difficulty
from trainer.line.signals import draw

_FWHM = 2.3548  # full width at half maximum of exp(-u²/2)
_SWING_S = 6.0
_RAMP_S = 5.0
_SETTLE_S = 30.0


def depression(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """A train of dips that travels at casting speed, after a swing of the level; deep ones crack."""
    made = _dips(scene, event, rng)
    lower = [index for index in made.kernels[0].touched if scene.array.row(index) > 0] or made.kernels[0].touched
    last_s = max(kernel.arrival_s[index] for kernel in made.kernels for index in kernel.touched)
    below_m = scene.config.geometry.mould_exit_m - scene.array.rows_m[-1]
    impact = last_s + max(below_m, 0.0) / scene.speed_m_s
    return replace(
        made,
        target=QUALITY,
        detectable_s=made.kernels[0].first_s(lower, 0.0),
        end_s=impact,
        impact_s=impact,
        ignore_until_s=impact + _SETTLE_S,
        look_alike_of=None,
    )


def local_dips(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """The same dips, but below the upper row each row's train runs backwards about its own middle.

    A reflection about the middle of its area keeps a train's mean, deviation, extremes and slope over any window that
    holds all of it. What is lost is the constant lag from row to row.
    """
    made = _dips(scene, event, rng)
    weights = np.array([abs(max(kernel.amplitude_k, key=abs)) * kernel.width_s for kernel in made.kernels])
    arrivals = np.array([kernel.arrival_s for kernel in made.kernels])
    middle = weights @ arrivals / weights.sum()
    rows = np.array([scene.array.row(index) for index in range(scene.array.count)])
    reflected = np.where(rows > 0, 2 * middle - arrivals, arrivals)
    kernels = tuple(
        replace(kernel, arrival_s=tuple(arrival.tolist()))
        for kernel, arrival in zip(made.kernels, reflected, strict=True)
    )
    end = max(kernel.gone_s(3) for kernel in kernels)
    # A crack's twin imitates a crack, a depression's a depression.
    return replace(
        made,
        type="local_dips",
        kernels=kernels,
        difficulty=None,
        look_alike_of=made.type,
        end_s=end,
        ignore_until_s=end,
    )


def _dips(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    figures, array = scene.config.depression, scene.array
    is_twin = event.pair is not None or event.type == "local_dips"
    difficulty = event.difficulty or ("order" if is_twin else draw_difficulty(figures.shares, rng))
    depth_k = draw(rng, getattr(figures.depth_k, difficulty))
    fall = draw(rng, getattr(figures.flux_fall_share, difficulty))
    begins_s = event.onset_s + draw(rng, figures.swing_before_s)
    times = _times(figures.every_s, draw(rng, getattr(figures.train_s, difficulty)), rng)
    near, far = int(rng.integers(len(array.columns_m))), draw(rng, figures.far_share)
    lower = draw(rng, figures.lower_share)
    kernels = []
    for number, after_s in enumerate(times):
        width_s = draw(rng, figures.dip_s) / _FWHM
        deep_k = depth_k if number == 0 else depth_k * rng.uniform(0.8, 1.0)
        share = [1.0 if array.column(index) == near else far for index in range(array.count)]
        kernels.append(
            Kernel(
                amplitude_k=tuple(-deep_k * share[i] * lower ** array.row(i) for i in range(array.count)),
                arrival_s=tuple(
                    begins_s + after_s + (array.rows_m[array.row(i)] - array.rows_m[0]) / scene.speed_m_s
                    for i in range(array.count)
                ),
                beta=0.0, width_s=width_s, dip_at=0.0, dip_width=1.0,
            )
        )  # fmt: skip
    is_crack = rng.random() < _crack_probability(scene, depth_k)
    end = max(kernel.gone_s(3) for kernel in kernels)
    names = tuple(array.names[index] for index in kernels[0].touched)
    return Happening(
        type="longitudinal_crack" if is_crack else "depression",
        target=None,
        onset_s=event.onset_s,
        detectable_s=event.onset_s,
        end_s=end,
        ignore_until_s=end,
        sensors=(*names, "mould_heat_flux_broad_loose_mw_m2", "mould_heat_flux_broad_fixed_mw_m2", "mould_level_mm"),
        difficulty=difficulty,
        pair=event.pair,
        position_s=begins_s,
        profiles=(_swing(event.onset_s, draw(rng, figures.swing_mm_s)), _flux(begins_s, times[-1], fall)),
        kernels=tuple(kernels),
    )


def _times(every_s: Span, train_s: float, rng: np.random.Generator) -> list[float]:
    """When each dip comes, from the first on; two at least."""
    times = [0.0, draw(rng, every_s)]
    while (following := times[-1] + draw(rng, every_s)) <= train_s:
        times.append(following)
    return times


def _crack_probability(scene: Scene, depth_k: float) -> float:
    """Logistic in depth, grade and the imbalance of the faces' fluxes."""
    figures = scene.config.depression
    as_if_k = depth_k + figures.crack_imbalance_k * scene.imbalance
    as_if_k += figures.crack_peritectic_k if scene.grade == "peritectic" else 0.0
    return float(1 / (1 + np.exp(-(as_if_k - figures.crack_depth_k) / figures.crack_slope_k)))


def _swing(onset_s: float, push_mm_s: float) -> Profile:
    """Two swings of the level that precede the dips, at first upwards."""
    quarters = [(quarter, (0, 1, 0, -1)[quarter % 4] * push_mm_s) for quarter in range(9)]
    return Profile("level_push_mm_s", tuple((onset_s + quarter * _SWING_S / 4, push) for quarter, push in quarters))


def _flux(begins_s: float, lasts_s: float, fall: float) -> Profile:
    ends_s = begins_s + lasts_s + _RAMP_S
    corners = ((begins_s - _RAMP_S, 0.0), (begins_s, -fall), (ends_s, -fall), (ends_s + 2 * _RAMP_S, 0.0))
    return Profile("flux_share", corners)
