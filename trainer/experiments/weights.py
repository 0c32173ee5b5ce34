"""The networks of a series, kept by run: what judges them later need not train them again.

weights = Weights(Path("runs/line-v1/weights"))
weights.keep(run)
model = weights.model(config, fingerprint, input_size=20, output_size=2)
"""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from models.errors import ContractError, mismatch
from models.whole_file import write_whole
from trainer.config import TrainingConfig
from trainer.experiments.runs import run_key
from trainer.sequence_models import SequenceModel, build_model
from trainer.train_sequence import TrainingRun


class Weights:
    """A folder of state dicts, `<run_key>.safetensors` each; it is made with the first.

    Args:
        folder: it need not exist; several processes may share it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, run: TrainingRun) -> Path:
        """Write the weights of a run.

        Raises:
            OSError: the system will not take it.
        """
        path = self._path(run.config, run.dataset.info.fingerprint)
        write_whole(path, save({name: tensor.contiguous() for name, tensor in run.model.state_dict().items()}))
        return path

    def model(
        self, config: TrainingConfig, data_fingerprint: str, *, input_size: int, output_size: int
    ) -> SequenceModel | None:
        """The network of a run, in eval mode; None if its weights were not kept.

        Args:
            config: of the run.
            data_fingerprint: of the dataset it was trained on.
            input_size: sensors.
            output_size: targets.

        Raises:
            ContractError: the file is none of this run's.
        """
        path = self._path(config, data_fingerprint)
        if not path.exists():
            return None
        model = build_model(config, input_size, output_size)
        try:
            model.load_state_dict(load(path.read_bytes()))
        except (RuntimeError, SafetensorError) as error:
            what = " ".join(str(error).split())
            raise ContractError(f"{mismatch('the weights of the run', what, str(path))}: remove it") from None
        return model.eval()

    def _path(self, config: TrainingConfig, data_fingerprint: str) -> Path:
        return self.folder / f"{run_key(config, data_fingerprint)}.safetensors"
