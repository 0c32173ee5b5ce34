"""Floating-point operations of one window, counted by torch; a multiplication and its addition are two."""

import copy
from collections import Counter
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from trainer.sequence_models import SequenceModel


@dataclass(frozen=True, slots=True)
class Operations:
    """Operations of one window through the network; filling, normalising and the sigmoid are not counted.

    Attributes:
        total: all that torch counts: products of matrices, convolutions, attention. Element by element work is not
            among them.
        by_operator: the same, by torch's name of the operator.
    """

    total: int
    by_operator: dict[str, int]


def count_operations(model: SequenceModel, rows: int, sensors: int) -> Operations:
    """Count one window's operations.

    In double precision, on a copy: with single precision an LSTM runs in one fused operator, which torch's counter does
    not know and passes over; in double precision it is made of the products that it consists of. Their number is the
    same.

    Args:
        model: the network.
        rows: of a window.
        sensors: of a window.
    """
    double = copy.deepcopy(model).double().eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        double(torch.zeros(1, rows, sensors, dtype=torch.float64))
    counts: Counter[str] = Counter()
    for operator, number in counter.get_flop_counts().get("Global", {}).items():
        counts[str(operator)] += int(number)
    return Operations(int(counter.get_total_flops()), dict(sorted(counts.items())))
