"""A network in torch as a scorer: raw windows in, probabilities out, without an export."""

from collections.abc import Sequence

import torch

from models.features import Sensor
from models.windows import Float32Array, WindowRules
from trainer.architectures.base import SequenceModel
from trainer.preprocess import Preprocess

_BATCH = 64
"""Windows answered at once: with 256 a network on one processor answers a tenth to a quarter fewer a second."""


class NetworkScorer:
    """What answers windows (`trainer.evaluation.traces.Scorer`) with a network; it may be asked from several threads.

    Args:
        model: the network; put into eval mode.
        preprocess: fitted on the training split.
        window: which rows make a window, and when one is due.
        sensors: in the order of a window's columns.
        targets: in the order of the network's outputs.
    """

    def __init__(
        self,
        model: SequenceModel,
        preprocess: Preprocess,
        window: WindowRules,
        sensors: Sequence[Sensor],
        targets: Sequence[str],
    ) -> None:
        self.window = window
        self.sensors = tuple(sensors)
        self.targets = tuple(targets)
        self._model = model.eval()
        self._preprocess = preprocess

    @torch.inference_mode()
    def predict(self, windows: Float32Array) -> Float32Array:
        """Probabilities [n, target] of windows [n, time, sensor] in engineering units, NaN = missing."""
        answers = torch.empty(len(windows), len(self.targets))
        for first in range(0, len(windows), _BATCH):
            part = slice(first, first + _BATCH)
            # A copy: it is filled and normalised in place.
            answers[part] = self._model.predict_proba(self._preprocess.overwrite(torch.tensor(windows[part])))
        said: Float32Array = answers.numpy()
        return said
