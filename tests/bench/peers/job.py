"""What every peer does with scans: windows a strand, a prediction at every stride-th scan; as its users would write it.

It runs in a peer's own environment, so it knows nothing of this repository but the bundle's files.
"""

import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

Scan = dict[str, Any]


class Job:
    """One model's.

    Args:
        bundle: its folder.
    """

    def __init__(self, bundle: str) -> None:
        manifest = json.loads((Path(bundle) / "manifest.json").read_text(encoding="utf-8"))
        self.length, self.stride = manifest["window"]["length"], manifest["window"]["stride"]
        self._names = [sensor["name"] for sensor in manifest["sensors"]]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            Path(bundle) / "model.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._windows: dict[str, deque[list[float]]] = {}
        self._counts: dict[str, int] = {}

    def row(self, scan: Scan) -> list[float]:
        """Its values in the model's order."""
        return [scan["values"].get(name, float("nan")) for name in self._names]

    def due(self, scan: Scan) -> deque[list[float]] | None:
        """Take a scan into its strand's window, which is given back when a prediction is due."""
        strand = scan["strand_id"]
        window = self._windows.setdefault(strand, deque(maxlen=self.length))
        window.append(self.row(scan))
        count = self._counts[strand] = self._counts.get(strand, 0) + 1
        return window if len(window) == self.length and count % self.stride == 0 else None

    def predict(self, windows: Iterable[Iterable[list[float]]]) -> list[list[float]]:
        """Probabilities by target of each."""
        batch = np.array([list(window) for window in windows], np.float32)
        return self._session.run(None, {self._input: batch})[0].tolist()


def answer(scan: Scan, probabilities: list[float]) -> Scan:
    """What is published."""
    return {"strand_id": scan["strand_id"], "event_time_ms": scan["event_time_ms"], "p": probabilities}


class Meter:
    """Counts scans and answers from when every strand's window is full; then it prints both a second, and ends.

    The client hands out partition by partition, thousands of scans of each: how many came says little of whose.

    Args:
        strands: how many there are.
        length: scans of a window.
        scans: to count.
    """

    def __init__(self, strands: int, length: int, scans: int) -> None:
        self._strands, self._length, self._scans = strands, length, scans
        self._seen: Counter[str] = Counter()
        self._full = self._count = self._answers = 0
        self._began_s = 0.0

    def count(self, scans: Sequence[Scan], answers: int) -> None:
        """These are done, and so many windows were answered."""
        if self._full < self._strands:
            for scan in scans:
                self._seen[scan["strand_id"]] += 1
                self._full += self._seen[scan["strand_id"]] == self._length
            self._began_s = time.perf_counter()
            return
        self._count += len(scans)
        self._answers += answers
        if self._count >= self._scans:
            seconds = time.perf_counter() - self._began_s
            print(json.dumps({"per_s": self._count / seconds, "answers_per_s": self._answers / seconds}))
            sys.stdout.flush()
            os._exit(0)  # none of them ends at once by itself
