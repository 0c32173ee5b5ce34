"""Attribution against the simulator's truth: how much of it falls where the event was, and is that more than nothing.

Of a window's |attribution| there are three shares: on the `sensors` that the event touched (at any time), in the
`interval` during which it did (on any sensor), and on the `cells` of both. Each is held against two controls:

- random: attribution strewn at random has on average the share of the cells that were touched; one is drawn too;
- shuffled: the same method on networks with shuffled weights (`attribution.with_shuffled_weights`), several of them.

A method is better than its controls if the 95 % interval of the mean difference lies above 0 for both, by bootstrap
over casting sequences and, for the second, over the shuffled networks too: each replicate is held against *one* of
them, drawn anew. To beat their mean would be too little, for of networks that know nothing every other one does that.
With n of them, one more passes by luck once in about n + 1 times.

Where every cell counts as touched (an event as long as the window), any attribution has all of it there: such windows
tell nothing and are left out.
"""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from models.windows import BoolArray, Int64Array

Float64Array = npt.NDArray[np.float64]

Kind = Literal["sensors", "interval", "cells"]
KINDS: tuple[Kind, ...] = ("sensors", "interval", "cells")

Verdict = Literal[
    "better than both controls",
    "no better than random",
    "no better than shuffled weights",
    "no better than either control",
    "cannot be told",
]

FEWEST_SEQUENCES = 5
"""With fewer casting sequences an interval by bootstrap over them is too narrow to be believed."""

DRAWS = 2000
"""Of the bootstrap."""


class Estimate(msgspec.Struct, frozen=True):
    """A mean over windows with its 95 % interval by bootstrap over casting sequences; None with too few of those."""

    mean: float
    interval: tuple[float, float] | None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What one method's attribution is worth for one type of event.

    Attributes:
        target: whose logit was explained.
        type: of event; None for all of the target's together.
        method: `integrated_gradients`, `occlusion` or `attention`.
        kind: which share, see the module's docstring.
        windows: that can tell.
        sequences: casting sequences that they lie in.
        share: of |attribution| where the event was.
        random: share of what was touched, which is what random attribution has on average.
        random_drawn: share of one random attribution a window.
        shuffled: share of the same method on networks with shuffled weights.
        above_random: `share` less `random`.
        above_shuffled: `share` less `shuffled`.
        verdict: in words.
    """

    target: str
    type: str | None
    method: str
    kind: Kind
    windows: int
    sequences: int
    share: Estimate
    random: float
    random_drawn: float
    shuffled: float
    above_random: Estimate
    above_shuffled: Estimate
    verdict: Verdict


def share_touched(attribution: Float64Array, touched: BoolArray) -> Float64Array:
    """The shares of one window, NaN where they tell nothing.

    Args:
        attribution: [t, s]; or [t, 1], which knows only of time.
        touched: [t, s].

    Returns:
        float64 [3], in the order of `KINDS`. Attribution that is 0 throughout points nowhere: its shares are those of
        random attribution.
    """
    magnitude = np.abs(attribution)
    if not magnitude.any():
        magnitude = np.ones_like(magnitude)
    magnitude = magnitude / magnitude.sum()
    rows = touched.any(axis=1)
    interval = np.nan if rows.all() else magnitude[rows].sum()
    if attribution.shape[1] != touched.shape[1]:
        return np.array([np.nan, interval, np.nan])
    columns = touched.any(axis=0)
    sensors = np.nan if columns.all() else magnitude[:, columns].sum()
    cells = np.nan if touched.all() else magnitude[touched].sum()
    return np.array([sensors, interval, cells])


def estimate(values: Float64Array, sequence: Int64Array, seed: int) -> Estimate:
    """The mean of values [n] of windows, with an interval that knows that windows of one sequence are alike.

    Args:
        values: finite, at least one.
        sequence: int64 [n], which casting sequence each is of.
        seed: of the draws.
    """
    return estimate_over(values[None], sequence, seed)


def estimate_over(values: Float64Array, sequence: Int64Array, seed: int) -> Estimate:
    """The mean of values [k, n] of windows held against k networks, and what one of these networks alone may make it.

    Args:
        values: NaN where a window was not held against a network; at least one finite.
        sequence: int64 [n], which casting sequence each window is of.
        seed: of the draws.
    """
    _, codes = np.unique(sequence, return_inverse=True)
    member = (codes == np.arange(codes.max() + 1)[:, None]).astype(np.float64)
    told = np.isfinite(values)
    sums, counts = np.where(told, values, 0.0) @ member.T, told.astype(np.float64) @ member.T
    mean = _rounded(float(sums.sum() / counts.sum()))
    if len(member) < FEWEST_SEQUENCES:
        return Estimate(mean, None)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(member), np.full(len(member), 1 / len(member)), DRAWS)
    network = rng.integers(len(values), size=DRAWS)
    drawn, of = (times * sums[network]).sum(axis=1), (times * counts[network]).sum(axis=1)
    low, high = np.percentile(drawn[of > 0] / of[of > 0], [2.5, 97.5])
    return Estimate(mean, (_rounded(float(low)), _rounded(float(high))))


def judge_shares(
    own: Float64Array,
    random: Float64Array,
    drawn: Float64Array,
    shuffled: Float64Array,
    sequence: Int64Array,
    *,
    names: tuple[str, str | None, str],
    seed: int,
) -> list[Judgement]:
    """The judgements of one method on some windows, one a kind of share that any of them can tell of.

    Args:
        own: float64 [n, 3] of the network, from `share_touched`; NaN where nothing can be told.
        random: float64 [n, 3], of attribution that is the same everywhere.
        drawn: float64 [n, 3], of random attribution.
        shuffled: float64 [n, k, 3], of k networks with shuffled weights; NaN also where one was not asked.
        sequence: int64 [n], which casting sequence each window is of.
        names: target, type and method.
        seed: of the bootstrap.
    """
    target, kind_of_event, method = names
    found = []
    for place, kind in enumerate(KINDS):
        told = np.isfinite(own[:, place])
        if not told.any():
            continue
        mine, chance, control = own[told, place], random[told, place], shuffled[told, :, place].T
        above_random = estimate(mine - chance, sequence[told], seed)
        above_shuffled = estimate_over(mine - control, sequence[told], seed)
        found.append(
            Judgement(
                target=target,
                type=kind_of_event,
                method=method,
                kind=kind,
                windows=int(told.sum()),
                sequences=len(np.unique(sequence[told])),
                share=estimate(mine, sequence[told], seed),
                random=_rounded(float(chance.mean())),
                random_drawn=_rounded(float(drawn[told, place].mean())),
                shuffled=_rounded(float(np.nanmean(control))),
                above_random=above_random,
                above_shuffled=above_shuffled,
                verdict=verdict(above_random, above_shuffled),
            )
        )
    return found


def verdict(above_random: Estimate, above_shuffled: Estimate) -> Verdict:
    """What two differences come to: better only where an interval lies above 0."""
    if above_random.interval is None or above_shuffled.interval is None:
        return "cannot be told"
    match above_random.interval[0] > 0, above_shuffled.interval[0] > 0:
        case True, True:
            return "better than both controls"
        case True, False:
            return "no better than shuffled weights"
        case False, True:
            return "no better than random"
    return "no better than either control"


def _rounded(value: float) -> float:
    return round(value, 4)
