"""How predictions evolve in time: around events, and with how much of the window is known.

    patterns = analyze_temporal_patterns(model, test_loader, "cpu")             # a network in torch
    patterns = temporal_patterns(scorer, Dataset.open("data/line"), "test")     # whatever answers windows

Two questions, both answered as plain data (`TemporalPatterns.as_dict`) and as pictures
(`trainer.evaluation.temporal_pictures`):

- *Aligned*: at what time before and after an event's onset or impact does the probability rise, by type of event, for
  every target; for look-alikes too, which must not raise it.
- *History*: what does a model say of a window of which only the last k rows are known? Where its answers stop
  changing, what lies further back is not used. Which window length a model *trained* on it does well with is another
  question, see `trainer ablate`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from models.errors import UsageError, mismatch
from models.windows import Float32Array, Int64Array
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event, Split
from trainer.evaluation.aligned import AlignedCurve, align_traces
from trainer.evaluation.events import Trace
from trainer.evaluation.known_rows import Earlier, History, history, steps, with_last_rows
from trainer.evaluation.traces import Scope, Scorer, sensor_columns, trace_split
from trainer.sequence_dataset import CastingSequenceDataset

_SEED = 0
_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class TemporalPatterns:
    """Both answers, of one scorer or of several.

    Attributes:
        aligned: by scorer, target, type of event and anchor.
        history: by scorer, what the earlier rows were, and target.
    """

    aligned: tuple[AlignedCurve, ...] = ()
    history: tuple[History, ...] = ()

    def __add__(self, other: "TemporalPatterns") -> "TemporalPatterns":
        """The patterns of both, to be shown side by side."""
        return TemporalPatterns(self.aligned + other.aligned, self.history + other.history)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "aligned": [asdict(curve) for curve in self.aligned],
            "history": [{**asdict(entry), "rows_that_suffice": entry.rows_that_suffice()} for entry in self.history],
        }


def analyze_temporal_patterns(
    model: nn.Module,
    test_loader: DataLoader[tuple[Tensor, ...]],
    device: str | torch.device,
    *,
    rows: Sequence[int] = (),
    targets: Sequence[str] = (),
    scorer: str = "model",
    traces: Iterable[Trace] = (),
    events: Mapping[str, Sequence[Event]] | None = None,
) -> TemporalPatterns:
    """How a network's predictions evolve over the length of the sequence, and, given traces, around events.

    A network takes sequences of any length: it is shown the last k rows of every window, so that the label, which
    belongs to the last row, stays true.

    Args:
        model: windows [b, time, sensor], normalised, to logits [b, target].
        test_loader: of batches (windows, labels [b, target] with NaN where left out); all windows of one length.
        device: where to compute; the model stays there.
        rows: rows to show, each at least 1; empty for about twelve numbers. The whole window is always among them.
        targets: names; empty for `target 0`, …
        scorer: the model's name.
        traces: the model's predictions over whole sequences, see `trainer.evaluation.traces`.
        events: of these sequences, by sequence id.

    Raises:
        UsageError: no window, or more rows asked for than a window has.
    """
    was_training = model.training
    model.eval().to(device)
    said: dict[int, list[Float32Array]] = {}
    truth: list[Float32Array] = []
    try:
        with torch.no_grad():
            for batch in test_loader:
                windows, labels = batch[0].to(device), batch[1]
                truth.append(labels.numpy())
                for known in steps(windows.shape[1], rows):
                    part = torch.sigmoid(model(windows[:, -known:])).cpu().numpy()
                    said.setdefault(known, []).append(part)
    finally:
        model.train(was_training)
    if not truth:
        raise UsageError(mismatch("windows", "none", "test_loader"))
    labels_nk = np.concatenate(truth)
    names = list(targets) or [f"target {index}" for index in range(labels_nk.shape[1])]
    answers = {known: np.concatenate(parts) for known, parts in said.items()}
    return TemporalPatterns(
        align_traces(scorer, traces, events or {}, names), history(scorer, "absent", names, answers, labels_nk)
    )


def temporal_patterns(
    scorer: Scorer,
    dataset: Dataset,
    split: Scope = "test",
    *,
    name: str = "model",
    rows: Sequence[int] = (),
    windows: int = 2000,
    traces: Sequence[Trace] | None = None,
    at_once: int = 1,
) -> TemporalPatterns:
    """Both answers of whatever answers raw windows; a split without a labelled window has no history.

    It takes windows of its own length only, so the rows before the last k are not taken away. Once they are made
    missing, and the scorer fills them as it does all that is missing; once they hold the first known row, as if nothing
    had moved before: a filled row may differ from a known one by a step that no line would show.

    Args:
        scorer: who is asked.
        dataset: with its sensors.
        split: whose sequences; the windows of `all` are of the test split.
        name: the scorer's.
        rows: rows to leave known, each at least 1; empty for about twelve numbers.
        windows: to ask about, half of them positive of any target if there are as many; the same ones each time.
        traces: of the split, if they are there already.
        at_once: as for `trace_split`.

    Raises:
        UsageError: as for `trace_split`, or more rows asked for than a window has.
    """
    traces = trace_split(scorer, dataset, split, at_once=at_once) if traces is None else traces
    events = {trace.sequence_id: dataset.events(trace.sequence_id) for trace in traces}
    raw, labels = labelled_windows(scorer, dataset, "test" if split == "all" else split, windows)
    found: tuple[History, ...] = ()
    kinds: tuple[Earlier, ...] = ("missing", "held")
    for earlier in kinds if len(raw) else ():
        said = {known: _answers(scorer, with_last_rows(raw, known, earlier)) for known in steps(raw.shape[1], rows)}
        found += history(name, earlier, scorer.targets, said, labels)
    return TemporalPatterns(align_traces(name, traces, events, scorer.targets), found)


def _answers(scorer: Scorer, windows: Float32Array) -> Float32Array:
    parts = [scorer.predict(windows[first : first + _AT_ONCE]) for first in range(0, len(windows), _AT_ONCE)]
    return np.concatenate(parts)


def labelled_windows(scorer: Scorer, dataset: Dataset, split: Split, count: int) -> tuple[Float32Array, Float32Array]:
    """Windows [n, time, sensor] in engineering units and labels [n, target], NaN where left out; the same each time.

    Raises:
        UsageError: the dataset lacks a sensor or target of the scorer.
    """
    columns = sensor_columns(scorer, dataset)
    data = CastingSequenceDataset(
        dataset.path,
        scorer.window.length,
        normalize=False,
        split=split,
        rules=scorer.window,
        targets=list(scorer.targets),
    )
    labels = data.labels
    positive = (labels == 1).any(axis=1)
    rng = np.random.default_rng(_SEED)
    some = [rng.permutation(np.flatnonzero(chosen)) for chosen in (positive, ~positive)]
    half = min(len(some[0]), count // 2)
    which: Int64Array = np.sort(np.concatenate([some[0][:half], some[1][: count - half]]))
    return data.raw(which)[:, :, columns], labels[which]
