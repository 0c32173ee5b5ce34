"""Explaining a network on windows within events of a dataset, and judging the explanations.

model, manifest = load_model(bundle), bundle.manifest
explanation = explain(model, manifest, Dataset.open("data/line"), count=200, seed=0)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from models.windows import BoolArray, Float32Array
from trainer.architectures.base import SequenceModel
from trainer.datasets.dataset import Dataset
from trainer.evaluation.traces import Scope, Windowed
from trainer.explanation.attribution import (
    BLOCK_ROWS,
    STEPS,
    Explain,
    Float64Array,
    as_seen,
    logits,
    methods_of,
    with_shuffled_weights,
)
from trainer.explanation.chosen import ChosenWindow, choose_places, load_chosen
from trainer.explanation.judging import share_touched
from trainer.graphs.serving_graph import RawModel

SHUFFLED_NETWORKS = 16
"""With shuffled weights, to hold a network against."""

OCCLUDED_NETWORKS = 2
"""Of these, so many answer for each window where occlusion is asked, for it costs ten times as much."""

CONTROL_STEPS = 16
"""Of integrated gradients of the shuffled networks at most: fewer, so that all of them can be asked."""

Advance = Callable[[float], None]
"""Called with the number of windows done since the last call."""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One window with its attributions.

    Attributes:
        window: what was explained.
        sequence: number of its casting sequence.
        probability: of its target.
        own: by method, [t, s] or [t, 1].
        shares: by method [3 + k, 3], kinds of share along the last axis: of the network, of random attribution on
            average and as drawn, and of k networks with shuffled weights, NaN where one was not asked; empty where no
            truth is known.
        moved: the target's logit less that of the baseline.
        gap: what integrated gradients add up to, less `moved`.
    """

    window: ChosenWindow
    sequence: int
    probability: float
    own: dict[str, Float64Array]
    shares: dict[str, Float64Array] = field(default_factory=dict)
    moved: float = 0.0
    gap: float = 0.0


def explain_windows(
    model: RawModel,
    rules: Windowed,
    dataset: Dataset,
    *,
    split: Scope = "test",
    count: int = 200,
    seed: int = 0,
    steps: int = STEPS,
    rows: int = BLOCK_ROWS,
    advance: Advance | None = None,
) -> list[Explained]:
    """Explain windows within events.

    Args:
        model: in eval mode.
        rules: its windows, sensors and targets: a bundle's manifest.
        dataset: with its sensors and targets.
        split: whose sequences.
        count: windows in all, about.
        seed: of the choice of events, of random attribution and of shuffled weights.
        steps: of integrated gradients.
        rows: scans that occlusion takes away at once.
        advance: told of windows done.

    Raises:
        UsageError: as for `choose_places`.
    """

    def seen(rows_nts: Float32Array) -> Float32Array:
        filled: Float32Array = as_seen(rows_nts, model.preprocess).numpy()
        return filled

    places = choose_places(rules, dataset, split, count, seed)
    rng = np.random.default_rng(seed)
    explainer = _Explainer(
        model,
        methods_of(model.model, steps, rows),
        methods_of(model.model, min(steps, CONTROL_STEPS), rows),
        [with_shuffled_weights(model.model, int(rng.integers(2**31))) for _ in range(SHUFFLED_NETWORKS)],
        rng,
    )
    explained: list[Explained] = []
    for number, sequence in enumerate(load_chosen(rules, dataset, places, seen)):
        for index, target in enumerate(rules.targets):
            windows = [window for window in sequence.windows if window.event.target == target]
            if windows:
                explained += explainer.explain(windows, torch.from_numpy(sequence.usual), index, number)
        if advance:
            advance(len(sequence.windows))
    return explained


class _Explainer:
    """Explains windows of one sequence and target after the other, by a network and by its shuffled ones."""

    def __init__(
        self,
        model: RawModel,
        methods: Mapping[str, Explain],
        control_methods: Mapping[str, Explain],
        shuffled: Sequence[SequenceModel],
        rng: np.random.Generator,
    ) -> None:
        self._model = model
        self._methods = methods
        self._control_methods = control_methods
        self._shuffled = shuffled
        self._rng = rng
        self._asked = 0

    def explain(
        self, windows: Sequence[ChosenWindow], usual_s: Tensor, target: int, sequence: int
    ) -> Iterator[Explained]:
        network = self._model.model
        x_bts = as_seen(np.stack([window.values for window in windows]), self._model.preprocess)
        logit = logits(network, x_bts)[:, target]
        moved = logit - logits(network, usual_s.expand_as(x_bts)[:1].contiguous())[:, target]
        own = {name: method(network, x_bts, usual_s, target) for name, method in self._methods.items()}
        truth = {place: window.touched for place, window in enumerate(windows) if window.touched is not None}
        controls = {name: self._controls(name, x_bts, usual_s, target, truth) for name in own}
        for place, window in enumerate(windows):
            maps = {name: values[place] for name, values in own.items()}
            yield Explained(
                window=window,
                sequence=sequence,
                probability=float(1 / (1 + np.exp(-logit[place]))),
                own=maps,
                shares={
                    name: np.concatenate([self._shares(values, window.touched), controls[name][place]])
                    for name, values in maps.items()
                    if window.touched is not None
                },
                moved=float(moved[place]),
                gap=float(maps["integrated_gradients"].sum() - moved[place]),
            )

    def _shares(self, own: Float64Array, touched: BoolArray) -> Float64Array:
        """Of the network, of random attribution on average, of one drawn: [3, 3]."""
        maps = (own, np.ones_like(own), self._rng.standard_normal(own.shape))
        return np.stack([share_touched(values, touched) for values in maps])

    def _controls(
        self, method: str, x_bts: Tensor, usual_s: Tensor, target: int, truth: Mapping[int, BoolArray]
    ) -> Float64Array:
        """Shares [b, k, 3] of the shuffled networks."""
        count = len(self._shuffled)
        shares = np.full((len(x_bts), count, 3), np.nan)
        asked = np.ones((len(x_bts), count), np.bool_)
        if method == "occlusion":
            # Dear: each window is held against some of the networks, all of which have their turn.
            first = OCCLUDED_NETWORKS * (self._asked + np.arange(len(x_bts)))
            asked = (np.arange(count) - first[:, None]) % count < OCCLUDED_NETWORKS
            self._asked += len(x_bts)
        for number, network in enumerate(self._shuffled):
            places = [place for place in truth if asked[place, number]]
            if places:
                maps = self._control_methods[method](network, x_bts[places], usual_s, target)
                shares[places, number] = [
                    share_touched(values, truth[place]) for place, values in zip(places, maps, strict=True)
                ]
        return shares
