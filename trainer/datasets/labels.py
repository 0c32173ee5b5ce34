"""Labels of windows, from the truth about events.

A window has the label of its *end*: positive from where an event can be told from its look-alikes until
its impact (or, healed, until its pattern has ended). Two zones are left out of training and of scores by
window, because no answer there is wrong: from the first trace until it is detectable, and after the end
until the pattern has gone from the thermocouples and a minute has passed.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from trainer.datasets.records import Event

POSITIVE = 1
NEGATIVE = 0
LEFT_OUT = -1


def label_at(event_time_ms: npt.NDArray[np.int64], events: Iterable[Event], target: str) -> npt.NDArray[np.int8]:
    """Labels of windows that end at the given times, for one target.

    Args:
        event_time_ms: int64 [k], any order, all of the one sequence that `events` belong to.
        events: the sequence's events; those of other targets and look-alikes leave no mark.
        target: name of the target.

    Returns:
        int8 [k]: 1 in [detectable, end), -1 in [onset, detectable) and [end, ignore_until), otherwise 0.
        Where events overlap, positive wins over left out.
    """
    labels = np.full(len(event_time_ms), NEGATIVE, dtype=np.int8)
    positive = np.zeros(len(event_time_ms), dtype=bool)
    for event in events:
        if event.target != target:
            continue
        labels[(event_time_ms >= event.onset_ms) & (event_time_ms < event.ignore_until_ms)] = LEFT_OUT
        positive |= (event_time_ms >= event.detectable_ms) & (event_time_ms < event.end_ms)
    labels[positive] = POSITIVE
    return labels
