"""What a model says of windows of which only the last rows are known: how much of the past does it use?

Which window length a model *trained* on it does well with is another question, see `trainer ablate`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.metrics import roc_auc_score

from models.errors import UsageError, mismatch
from models.windows import BoolArray, Float32Array

Earlier = Literal["absent", "missing", "held"]
"""What the rows before the last k are: not there (a shorter window), missing values, or the first known row, as if
nothing had moved before it."""

SUFFICES = 0.005
"""ROC-AUC that may be lacking where so many rows are said to suffice: what a quantised model may lose too."""

_STEPS = 12


@dataclass(frozen=True, slots=True)
class History:
    """What one scorer says to one target's windows of which the last k rows are known.

    Attributes:
        scorer: who was asked.
        earlier: what the other rows were.
        target: whose probability.
        windows: how many with a label of this target.
        positives: how many of them are positive.
        rows: [k] known rows, rising; the last is the whole window.
        roc_auc: [k]; None where a class is missing.
        positive: [k] quartiles of the probability of positive windows; None without any.
        negative: [k] likewise of negative ones.
        moved: [k] mean absolute difference from the answer to the whole window.
    """

    scorer: str
    earlier: Earlier
    target: str
    windows: int
    positives: int
    rows: tuple[int, ...]
    roc_auc: tuple[float | None, ...]
    positive: tuple[tuple[float, float, float] | None, ...]
    negative: tuple[tuple[float, float, float] | None, ...]
    moved: tuple[float, ...]

    def rows_that_suffice(self, lacking: float = SUFFICES) -> int | None:
        """The fewest rows from which on no more than `lacking` ROC-AUC is missing; None where there is no ROC-AUC."""
        whole, enough = self.roc_auc[-1], None
        for rows, score in zip(reversed(self.rows), reversed(self.roc_auc), strict=True):
            if whole is None or score is None or score < whole - lacking:
                break
            enough = rows
        return enough


def steps(length: int, rows: Sequence[int] = ()) -> list[int]:
    """The numbers of known rows, rising, the whole window last: those asked for, or about twelve, ever further apart.

    Raises:
        UsageError: a number that a window of `length` rows cannot have.
    """
    for known in rows:
        if not 1 <= known <= length:
            raise UsageError(mismatch(f"1 to {length} rows", known, "rows"))
    chosen = rows or np.unique(np.geomspace(1, length, _STEPS).round().astype(int)).tolist()
    return sorted({*chosen, length})


def with_last_rows(windows: Float32Array, rows: int, earlier: Earlier) -> Float32Array:
    """Windows [n, time, sensor] of which only the last rows are known; `absent` makes them shorter."""
    first = windows.shape[1] - rows
    if earlier == "absent":
        return windows[:, first:]
    known = windows.copy()
    known[:, :first] = np.nan if earlier == "missing" else windows[:, first : first + 1]
    return known


def history(
    scorer: str, earlier: Earlier, targets: Sequence[str], said: Mapping[int, Float32Array], labels_nk: Float32Array
) -> tuple[History, ...]:
    """Sum up answers, by target.

    Args:
        scorer: who was asked.
        earlier: what the other rows were.
        targets: in the order of the probabilities.
        said: by number of known rows, probabilities [n, target]; the largest is the whole window.
        labels_nk: [n, target]: 1, 0, and NaN where left out.
    """
    whole = said[max(said)]
    found = []
    for index, target in enumerate(targets):
        truth = labels_nk[:, index]
        positive, negative = truth == 1, truth == 0
        both = bool(positive.any() and negative.any())
        told = positive | negative
        columns = [said[known][:, index] for known in sorted(said)]
        found.append(
            History(
                scorer=scorer,
                earlier=earlier,
                target=target,
                windows=int(told.sum()),
                positives=int(positive.sum()),
                rows=tuple(sorted(said)),
                roc_auc=tuple(
                    round(float(roc_auc_score(truth[told], one[told])), 4) if both else None for one in columns
                ),
                positive=tuple(_quartiles(one, positive) for one in columns),
                negative=tuple(_quartiles(one, negative) for one in columns),
                moved=tuple(round(float(np.abs(one - whole[:, index]).mean()), 4) for one in columns),
            )
        )
    return tuple(found)


def _quartiles(said: Float32Array, which: BoolArray) -> tuple[float, float, float] | None:
    if not which.any():
        return None
    low, median, high = (round(float(value), 4) for value in np.quantile(said[which], (0.25, 0.5, 0.75)))
    return low, median, high
