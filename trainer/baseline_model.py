"""A baseline that was trained: LightGBM on the features of a window, one model a target; in memory and on disk.

    model = load_baseline(Path("runs/baseline"))
    model.predict(windows)                # probabilities [n, target] of raw windows [n, time, sensor]

    runs/baseline/baseline.json    all that is needed to ask it, how it was made, and the other files' checksums
    runs/baseline/model_0.txt      LightGBM's own text of the first target's model, and so on

The text is what predicts, also in the process that trained: what was saved and read again gives the same bits.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import lightgbm
import msgspec
import numpy as np

from models.errors import ContractError, mismatch
from models.features import Sensor
from models.whole_file import write_whole
from models.windows import Float32Array, WindowRules
from trainer.datasets.records import Symmetry
from trainer.window_features import FeatureKind, WindowFeatures

BASELINE_FILE = "baseline.json"

_FORMAT = 1

Parameter = int | float


class BaselineTrial(msgspec.Struct, frozen=True):
    """One try of the search.

    Attributes:
        number: from 0, which is LightGBM's defaults or what was given.
        parameters: LightGBM's.
        roc_auc: on the judged validation windows, the mean over the targets.
        rounds: trees kept, by target.
        seconds: of training all targets.
    """

    number: int
    parameters: dict[str, Parameter]
    roc_auc: float
    rounds: dict[str, int]
    seconds: float


class BaselineAbout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`baseline.json`.

    Attributes:
        format: of this file.
        features: which family.
        window: rules of the windows.
        sensors: in the order of a window's columns.
        symmetries: of the dataset; they tell which sensors belong together.
        targets: in the order of the probabilities.
        feature_names: in the order of the columns LightGBM sees.
        parameters: LightGBM's, as chosen.
        seed: of LightGBM, and of the training windows drawn.
        train_windows: windows learnt from.
        validation_windows: windows that judged.
        data_fingerprint: of the dataset.
        seconds: of the whole, on the clock; of a search that was stopped, since it went on.
        feature_seconds: part of it in which windows were read and their features computed.
        processor_seconds: of the whole, of the process's processor time.
        trials: of the search, in order; one where nothing was searched.
        model_sha256: of each target's file.
    """

    format: int = _FORMAT
    features: FeatureKind
    window: WindowRules
    sensors: tuple[Sensor, ...]
    symmetries: tuple[Symmetry, ...]
    targets: tuple[str, ...]
    feature_names: tuple[str, ...]
    parameters: dict[str, Parameter]
    seed: int
    train_windows: int
    validation_windows: int
    data_fingerprint: str
    seconds: float
    feature_seconds: float
    processor_seconds: float
    trials: tuple[BaselineTrial, ...]
    model_sha256: tuple[str, ...]


class BaselineModel:
    """Answers raw windows with probabilities; a `trainer.evaluation.traces.Scorer`, fit for several threads.

    Args:
        about: what it is.
        texts: LightGBM's text of each target's model.
        threads: of LightGBM for one call.

    Attributes:
        about: as given.

    Raises:
        ContractError: the models are none, or not of these features.
    """

    def __init__(self, about: BaselineAbout, texts: Sequence[str], *, threads: int = 1) -> None:
        self.about = about
        self._texts = tuple(texts)
        self._threads = threads
        self._features = WindowFeatures(about.features, about.sensors, about.symmetries, about.window.period_ms)
        if self._features.names != about.feature_names:
            raise ContractError(
                f"expected the {len(self._features.names)} `{about.features}` features of this version, got "
                f"{len(about.feature_names)} others in {BASELINE_FILE}: train the baseline anew"
            )
        self._boosters = [self._booster(target, text) for target, text in zip(about.targets, texts, strict=True)]

    def _booster(self, target: str, text: str) -> lightgbm.Booster:
        try:
            booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise ContractError(mismatch("LightGBM's text", f"`{error}`", f"the model of `{target}`")) from None
        if booster.feature_name() != list(self.about.feature_names):
            raise ContractError(
                mismatch("a model of the features named", "one of others", f"the model of `{target}`")
                + ": train the baseline anew"
            )
        return booster

    @property
    def window(self) -> WindowRules:
        """Which rows make a window, and when one is due."""
        return self.about.window

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """In the order of a window's columns."""
        return self.about.sensors

    @property
    def targets(self) -> tuple[str, ...]:
        """In the order of the probabilities."""
        return self.about.targets

    def predict(self, windows: Float32Array) -> Float32Array:
        """Probabilities [n, target] of windows [n, time, sensor] in engineering units, NaN = missing."""
        return self.predict_features(self.features_of(windows))

    def predict_features(self, features: Float32Array) -> Float32Array:
        """The same of features [n, feature] that were computed before."""
        out = np.empty((len(features), len(self._boosters)), np.float32)
        if len(features):
            for column, booster in enumerate(self._boosters):
                out[:, column] = booster.predict(features, num_threads=self._threads)
        return out

    def features_of(self, windows: Float32Array) -> Float32Array:
        """Features [n, feature] of windows [n, time, sensor], for `predict_features`."""
        return self._features.compute(windows)

    def importance(self) -> dict[str, dict[str, float]]:
        """Of each target, the features its trees use, by gain: its sum over their splits, the largest first."""
        named = {}
        for target, booster in zip(self.targets, self._boosters, strict=True):
            gains = zip(booster.feature_name(), booster.feature_importance("gain").tolist(), strict=True)
            used = [(name, gain) for name, gain in gains if gain > 0]
            named[target] = dict(sorted(used, key=lambda entry: -entry[1]))
        return named

    def save(self, folder: Path) -> None:
        """Write it into a folder, made if there is none; `baseline.json` comes last and vouches for the others.

        Raises:
            OSError: the system will not take it.
        """
        for index, text in enumerate(self._texts):
            write_whole(folder / model_file(index), text.encode())
        write_whole(folder / BASELINE_FILE, msgspec.json.format(msgspec.json.encode(self.about), indent=2) + b"\n")


class BaselinesTogether:
    """Several baselines on the same features, which take most of the time: computed once, asked of each.

    A `trainer.evaluation.traces.Scorer` whose probabilities [n, baseline × target] are those of one after the other.

    Args:
        models: one at least, of the same features and windows.
    """

    def __init__(self, models: Sequence[BaselineModel]) -> None:
        self._models = tuple(models)
        first = models[0].about
        if any((one.about.feature_names, one.window) != (first.feature_names, first.window) for one in models):
            raise ValueError("expected baselines of the same features and windows")
        self.window, self.sensors = first.window, first.sensors
        self.targets = tuple(target for one in models for target in one.targets)

    def predict(self, windows: Float32Array) -> Float32Array:
        """As `BaselineModel.predict`, of all of them side by side."""
        features = self._models[0].features_of(windows)
        return np.concatenate([one.predict_features(features) for one in self._models], axis=1)


def model_file(index: int) -> str:
    """Name of the file of one target's model."""
    return f"model_{index}.txt"


def text_sha256(text: str) -> str:
    """The checksum of a model's file, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def load_baseline(folder: str | Path, *, threads: int = 1) -> BaselineModel:
    """Read a saved baseline, every checksum compared.

    Args:
        folder: that `save` wrote.
        threads: of LightGBM for one call.

    Raises:
        ContractError: no baseline there, one that was altered, or one of another version's features.
    """
    folder = Path(folder)
    path = folder / BASELINE_FILE
    about = _read_about(path)
    if not len(about.targets) == len(about.model_sha256) > 0:
        counts = f"{len(about.targets)} targets and {len(about.model_sha256)} checksums"
        raise ContractError(mismatch("a checksum for each target", counts, str(path)))
    texts = []
    for index, expected in enumerate(about.model_sha256):
        file = folder / model_file(index)
        try:
            data = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise ContractError(
                f"expected {file.name}, got no such file at {folder}: train the baseline anew"
            ) from None
        found = hashlib.sha256(data).hexdigest()
        if found != expected:
            raise ContractError(
                f"expected a file of sha256 {expected[:12]}, got {found[:12]} at {file}: train the baseline anew"
            )
        texts.append(data.decode())
    return BaselineModel(about, texts, threads=threads)


def _read_about(path: Path) -> BaselineAbout:
    remedy = "name a folder made by `trainer baseline`"
    try:
        about = msgspec.json.decode(path.read_bytes(), type=BaselineAbout)
    except (FileNotFoundError, NotADirectoryError):
        raise ContractError(f"expected a baseline, got no such file at {path}: {remedy}") from None
    except msgspec.DecodeError as error:
        raise ContractError(f"expected a baseline, got `{error}` at {path}: {remedy}") from None
    if about.format != _FORMAT:
        raise ContractError(f"expected format {_FORMAT}, got {about.format} at {path}, format: {remedy}")
    return about
