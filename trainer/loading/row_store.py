"""The rows of one split as one file that windows are cut out of without reading it whole.

    store = open_rows(Dataset.open("data/line"), "train")
    store.read(np.array([0, 120]), np.array([120, 120]))        # [2, 120, sensor]

Parquet must be decoded a column chunk at a time; shuffled windows want a few rows from anywhere. So the rows of all
sequences of a split are written once, in order, to `DATASET/.rows/<split>-<key>.rows`, and read from there ever after.

- The key is a sha256 over the sequences' digests and the sensors: other content is another file.
- Layout: `_HEAD` bytes of JSON, the event times (int64 [rows]), the values (float32 [rows, sensor]), little-endian.
- It is written under another name, synced and renamed: never half there, and two processes at once do no harm. The head
  holds the body's sha256, which every opening compares; a file that is broken or not ours is made anew.
- Where the dataset's folder cannot be written, the file lives in a temporary folder until the program ends.
- Windows are read at their offset and not through a mapping of the file: a mapping's touched pages count as this
  process's memory, and a shuffled epoch touches all of them; one made anew for each batch takes 2.7 times as long.
"""

import atexit
import functools
import hashlib
import io
import json
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ContractError
from models.windows import Float32Array, Int64Array
from trainer.datasets.dataset import Dataset
from trainer.datasets.fingerprint import canonical_json, sequence_digest
from trainer.datasets.records import SequenceInfo, Split

FOLDER = ".rows"

_FORMAT = 1
_HEAD = 4096

_ABANDONED_S = 86_400

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RowStore:
    """An open file of rows; only its description is held, so that it may go to other processes.

    Attributes:
        path: the file.
        rows: number of rows.
        sensors: number of columns.
    """

    path: Path
    rows: int
    sensors: int

    def read(self, first: Int64Array, counts: Int64Array) -> Float32Array:
        """Copy stretches of rows.

        Args:
            first: [k] the row each stretch begins at.
            counts: [k] its rows, at least 1.

        Returns:
            float32 [k, largest count, sensor]; what follows a shorter stretch's last row is NaN.

        Raises:
            ContractError: the file was cut short after it was opened.
        """
        out = np.empty((len(first), int(counts.max(initial=0)), self.sensors), np.float32)
        with self.path.open("rb", buffering=0) as file:
            for stretch, row, count in zip(out, first.tolist(), counts.tolist(), strict=True):
                self._fill(file, stretch[:count], _HEAD + 8 * self.rows + 4 * self.sensors * row)
                stretch[count:] = np.nan
        return out

    def event_times(self, first: int = 0, count: int | None = None) -> Int64Array:
        """Copy the event times, milliseconds, of `count` rows (None: all that follow)."""
        times = np.empty(self.rows - first if count is None else count, np.int64)
        with self.path.open("rb", buffering=0) as file:
            self._fill(file, times, _HEAD + 8 * first)
        return times

    def _fill(self, file: io.FileIO, array: npt.NDArray[Any], offset: int) -> None:
        if os.preadv(file.fileno(), [array.data], offset) < array.nbytes:
            raise ContractError(
                f"expected {array.nbytes} bytes at {self.path}, byte {offset}, got fewer: remove the file"
            )


def open_rows(dataset: Dataset, split: Split) -> RowStore:
    """The rows of a split, in the order of `dataset.sequences(split)`; written first where they are not there.

    Raises:
        ContractError: a sequence's file is not what the dataset's index says.
        OSError: neither the dataset's folder nor a temporary one takes the file; names the path.
    """
    infos = dataset.sequences(split)
    sensors = [sensor.name for sensor in dataset.info.sensors]
    key = _key(infos, sensors)
    name = f"{split}-{key[:16]}.rows"
    store = RowStore(dataset.path / FOLDER / name, sum(info.rows for info in infos), len(sensors))
    if _is_whole(store, key):
        return store
    try:
        _write(store, key, dataset, infos)
    except OSError as error:
        store = RowStore(_temporary_folder() / name, store.rows, store.sensors)
        if not _is_whole(store, key):
            logger.warning(
                "rows of the split `%s` are kept in %s until the program ends: %s at %s",
                split,
                store.path.parent,
                error.strerror,
                error.filename,
            )
            _write(store, key, dataset, infos)
    return store


def _key(infos: Sequence[SequenceInfo], sensors: Sequence[str]) -> str:
    content = [_FORMAT, list(sensors), [[info.sequence_id, info.rows, info.sha256] for info in infos]]
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _head(store: RowStore, key: str, body_sha256: str) -> bytes:
    told = {"format": _FORMAT, "key": key, "rows": store.rows, "sensors": store.sensors, "sha256": body_sha256}
    return json.dumps(told).encode().ljust(_HEAD - 1) + b"\n"


def _is_whole(store: RowStore, key: str) -> bool:
    try:
        with store.path.open("rb") as file:
            head = file.read(_HEAD)
            return head == _head(store, key, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError:
        return False


def _write(store: RowStore, key: str, dataset: Dataset, infos: Sequence[SequenceInfo]) -> None:
    scratch = store.path.with_name(f".{store.path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        store.path.parent.mkdir(exist_ok=True)
        _sweep(store.path)
        with scratch.open("xb") as file:
            file.truncate(_HEAD + store.rows * (8 + 4 * store.sensors))
            row = 0
            for info in infos:
                sequence = dataset.load(info.sequence_id)
                found = sequence_digest(sequence)
                if found != info.sha256:
                    raise ContractError(
                        f"expected content of sha256 {info.sha256[:12]}, got {found[:12]} in sequence "
                        f"{info.sequence_id} at {dataset.path}: make the dataset anew"
                    )
                file.seek(_HEAD + 8 * row)
                file.write(sequence.event_time_ms.astype("<i8").tobytes())
                file.seek(_HEAD + 8 * store.rows + 4 * store.sensors * row)
                file.write(sequence.values.astype("<f4").tobytes())
                row += info.rows
            file.flush()
            with scratch.open("rb") as written:
                written.seek(_HEAD)
                body_sha256 = hashlib.file_digest(written, "sha256").hexdigest()
            file.seek(0)
            file.write(_head(store, key, body_sha256))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(store.path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(store.path)) from error
    finally:
        scratch.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Remove what processes that were killed a day ago or earlier left half written."""
    for left in path.parent.glob(f".{path.name}.*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED_S:
                left.unlink()


@functools.cache
def _temporary_folder() -> Path:
    # A loader's worker process leaves without its parent's exit handlers, so only the maker removes the folder.
    folder = Path(tempfile.mkdtemp(prefix="strandwatch-rows-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
