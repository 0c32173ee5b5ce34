"""Traces on disk, so that what took minutes to ask is asked once.

kept = KeptTraces(Path("runs/traces"))
traces = kept.read(key, "test")
if traces is None:
    kept.write(key, "test", traces := trace_split(...))
"""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.errors import ContractError, mismatch
from models.whole_file import write_whole
from trainer.datasets.records import Split
from trainer.evaluation.events import Trace


class KeptTraces:
    """A folder of traces, `<key>-<split>.npz` each; a cache that may be deleted at any time.

    Args:
        folder: it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, key: str, split: Split) -> list[Trace] | None:
        """The traces kept under a key, None if there are none.

        Raises:
            ContractError: the file holds something else.
        """
        path = self._path(key, split)
        if not path.exists():
            return None
        try:
            # From memory: of a file that is no archive, numpy leaves the handle open.
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                found = dict(file)
            ends = np.cumsum(found["lengths"])[:-1]
            parts = zip(
                found["sequence_ids"].tolist(),
                np.split(found["event_time_ms"], ends),
                np.split(found["probabilities"], ends),
                np.split(found["segment"], ends),
                strict=True,
            )
            grid_ms, window_ms = (int(found[name]) for name in ("grid_ms", "window_ms"))
            return [Trace(name, times, said, segment, grid_ms, window_ms) for name, times, said, segment in parts]
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ContractError(f"{mismatch('traces', str(error), str(path))}: remove it") from None

    def write(self, key: str, split: Split, traces: Sequence[Trace]) -> None:
        """Keep traces, one sequence at least.

        Raises:
            OSError: the system will not take them.
        """
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            sequence_ids=np.array([trace.sequence_id for trace in traces]),
            lengths=np.array([len(trace.event_time_ms) for trace in traces]),
            event_time_ms=np.concatenate([trace.event_time_ms for trace in traces]),
            probabilities=np.concatenate([trace.probabilities for trace in traces]),
            segment=np.concatenate([trace.segment for trace in traces]),
            grid_ms=traces[0].grid_ms,
            window_ms=traces[0].window_ms,
        )
        write_whole(self._path(key, split), buffer.getvalue())

    def _path(self, key: str, split: Split) -> Path:
        return self.folder / f"{key}-{split}.npz"
