"""Matched decoys: every statistic of every channel agrees with the defect's, the order or the lag does not."""

import numpy as np
import numpy.typing as npt
import pytest
from support.happenings import drawn

from trainer.line.config import LineConfig
from trainer.line.happenings import Happening
from trainer.line.schedule import TWINS, Difficulty, Scheduled
from trainer.line.simulator import simulate

CONFIG = LineConfig()
SPEED_M_MIN = 1.2
TIME_S = np.arange(0, 400, 0.5)
WINDOW_S = 240.0  # holds the whole of every twin; the statistics of shorter windows differ only where they cut one


def pair(kind: str, seed: int) -> tuple[Happening, Happening]:
    def one(of: str, difficulty: Difficulty | None) -> Happening:
        event = Scheduled(of, 60.0, difficulty=difficulty, pair="p")
        return drawn(CONFIG, event, SPEED_M_MIN, np.random.default_rng(seed))

    return one(kind, "order"), one(TWINS[kind], None)


def traces(happening: Happening) -> npt.NDArray[np.float64]:
    """What it adds to each thermocouple and to each other channel, [channel, time]."""
    tcs = [sum(kernel.reading_k(TIME_S, index) for kernel in happening.kernels) for index in range(4)]
    return np.stack([*tcs, *(profile.over(TIME_S) for profile in happening.profiles)])


def statistics(signal: npt.NDArray[np.float64], ends_s: float) -> dict[str, float]:
    inside = (ends_s - WINDOW_S <= TIME_S) & (ends_s >= TIME_S)
    values, time = signal[inside], TIME_S[inside]
    return {
        "mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max(),
        "first": values[0], "last": values[-1], "slope": np.polyfit(time - time.mean(), values, 1)[0] * WINDOW_S,
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(TWINS))
@pytest.mark.parametrize("seed", range(12))
def test_twins_agree_in_every_statistic_of_every_channel_and_differ_in_lag(kind: str, seed: int) -> None:
    defect, decoy = pair(kind, seed)
    assert decoy.look_alike_of == defect.type
    assert decoy.target is None
    assert defect.difficulty == "order"
    ours, theirs = traces(defect), traces(decoy)
    assert ours.shape == theirs.shape
    ends_s = min(TIME_S[-1], max(defect.kernels[-1].gone_s(5), decoy.kernels[-1].gone_s(5)) + 10)
    for channel, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        size = np.abs(ours[channel]).max()
        for name, value in statistics(a, ends_s).items():
            # What a scan every half second leaves of the exact agreement.
            assert statistics(b, ends_s)[name] == pytest.approx(value, abs=0.02 * size + 1e-9), (channel, name)
    near = int(np.argmax(np.abs(ours[:2]).max(axis=1)))
    assert np.corrcoef(ours[near], theirs[near])[0, 1] > 0.8 or kind == "sticker"
    assert (
        abs(lag_s(ours[near], ours[near + 2]) - lag_s(theirs[near], theirs[near + 2])) >= 0.5
        or np.corrcoef(ours[near + 2], theirs[near + 2])[0, 1] < 0.9
    )


def test_no_statistic_of_one_channel_tells_twins_apart_in_a_minute_cut_out_of_the_pattern() -> None:
    """Windows that end in the middle of a pattern, where no statistic need agree: it must not separate either."""
    rng = np.random.default_rng(5)
    found: dict[str, list[list[float]]] = {}
    for seed in range(60):
        for which, happening in enumerate(pair("sticker", seed)):
            lower = happening.kernels[0].first_s([2, 3], -1.0)
            ends_s = lower + rng.uniform(0, 40)
            inside = (ends_s - 60 <= TIME_S) & (ends_s >= TIME_S)
            for channel, signal in enumerate(traces(happening)[:4]):
                values = signal[inside] + rng.normal(0, 1.5, inside.sum())
                time = TIME_S[inside] - ends_s
                slope = np.polyfit(time, values, 1)[0]
                named = {"mean": values.mean(), "std": values.std(), "min": values.min(), "max": values.max(),
                         "last": values[-1], "slope": slope}  # fmt: skip
                for name, value in named.items():
                    found.setdefault(f"{channel} {name}", [[], []])[which].append(float(value))
    for name, (ours, theirs) in found.items():
        wins = np.mean([a > b for a in ours for b in theirs])
        assert 0.3 < wins < 0.7, (name, wins)  # the area under the ROC curve of this statistic alone


def lag_s(upper: npt.NDArray[np.float64], lower: npt.NDArray[np.float64]) -> float:
    """By how much the lower row follows the upper."""
    lags = np.arange(-60, 61)
    return float(lags[np.argmax([np.dot(upper, np.roll(lower, -lag)) for lag in lags])]) / 2


def test_a_film_patch_moves_with_the_strand_and_its_sticker_does_not() -> None:
    strand_s = CONFIG.geometry.row_spacing_m / (SPEED_M_MIN / 60)
    slower = 0
    for seed in range(40):
        sticker, patch = (traces(one) for one in pair("sticker", seed))
        near = int(np.argmax(np.abs(sticker[:2]).max(axis=1)))
        assert lag_s(patch[near], patch[near + 2]) == pytest.approx(strand_s, abs=0.75)
        slower += lag_s(sticker[near], sticker[near + 2]) > strand_s + 0.5
    assert slower >= 32  # one in twenty is faster than the strand, and r goes up to 0.9


def test_twins_share_a_sequence_and_a_name() -> None:
    together = 0
    for made in simulate(CONFIG, strands=4, hours=12, seed=3):
        named: dict[str, list[str]] = {}
        for event in made.events:
            if event.pair_id is not None:
                named.setdefault(event.pair_id, []).append(event.type)
        for types in named.values():
            together += 1
            assert len(types) == 2
            assert {"film_patch", "local_dips"} & set(types)
            assert {"sticker", "depression", "longitudinal_crack"} & set(types)
    assert together > 10
