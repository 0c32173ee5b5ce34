"""The registry: what a configuration may name, and what an added architecture needs."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.correlated import correlation_of

from models.errors import ContractError, UsageError
from trainer import architectures
from trainer.architectures import architecture_names, build_model, model_from
from trainer.config import TrainingConfig, from_dict, load_config
from trainer.datasets.dataset import Dataset
from trainer.export import export_run, load_model
from trainer.train_sequence import train_on_dataset

ADDED = """
from torch import nn

from trainer.architectures.base import SequenceModel
from trainer.architectures.parts import Pool


class Perceptron(SequenceModel):
    model_type = "perceptron"

    def __init__(
        self, input_size, hidden_size, num_layers, dropout, output_size, *, pooling, inputs, whitening,
        bend: float = 1.0
    ):
        super().__init__(
            input_size=input_size, hidden_size=hidden_size, num_layers=num_layers, dropout=dropout,
            output_size=output_size, pooling=pooling, inputs=inputs, whitening=whitening, bend=bend,
        )
        self.pool, self.bend = Pool(pooling, hidden_size), bend
        self.rows = nn.Linear(input_size, hidden_size)
        self.head = nn.Linear(self.pool.width, output_size)

    def forward(self, x, lengths=None):
        return self.head(self.pool((self.bend * self.rows(self._prepared(x, lengths))).tanh(), lengths))
"""


@pytest.fixture
def perceptron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An architecture's file, dropped where the others lie."""
    folder = tmp_path / "architectures"
    folder.mkdir()
    (folder / "perceptron.py").write_text(ADDED)
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(folder)])
    yield "perceptron"
    sys.modules.pop("trainer.architectures.perceptron", None)


def test_an_architecture_needs_one_file_and_one_recipe(
    perceptron: str, small_line: Dataset, small_config: TrainingConfig, tmp_path: Path
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        f'model_type = "{perceptron}"\npooling = "last_max"\nhidden_size = 6\nwindow_length = 24\nstride = 2\n'
        'num_epochs = 1\nthreads = 1\ndevice = "cpu"\n[model]\nbend = 0.5\n'
    )
    run = train_on_dataset(small_line.path, load_config(str(recipe)))
    bundle = export_run(run, tmp_path / "mine", name="mine").bundle
    assert {"model_type": "perceptron", "bend": 0.5, "hidden_size": 6}.items() <= bundle.manifest.architecture.items()
    answer = load_model(bundle).predict_proba(torch.from_numpy(bundle.golden.windows))
    torch.testing.assert_close(answer, torch.from_numpy(bundle.golden.probabilities), rtol=0, atol=1e-5)


def test_names_are_known_without_torch() -> None:
    code = "import sys, trainer.architectures as a; print(a.architecture_names()); sys.exit('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True).stdout
    assert told.strip() == "['attention_lstm', 'cnn_lstm', 'lstm']"


@pytest.mark.parametrize("name", architecture_names())
def test_a_model_is_rebuilt_from_what_the_manifest_says_of_it(name: str) -> None:
    config = replace(
        TrainingConfig(device="cpu"),
        model_type=name,
        hidden_size=16,
        pooling="attention",
        inputs="change",
        whitening=True,
    )
    model = build_model(config, 5, 2).eval()
    assert model.whitening is not None
    model.whitening.fit(correlation_of(5))
    told = json.loads(json.dumps(model.architecture))
    assert told["model_type"] == name
    assert told["parameters"] == sum(weights.numel() for weights in model.parameters())
    again = model_from(told).eval()
    again.load_state_dict(model.state_dict())
    windows = torch.randn(3, 11, 5)
    assert torch.equal(again(windows), model(windows))


def test_options_of_an_architecture_reach_its_constructor() -> None:
    sets = ["model_type=cnn_lstm", "model.cnn_features=12", "model.conv_layers=3", "hidden_size=16"]
    config = load_config(None, [*sets, "device=cpu", "gradient_checkpointing=30"])
    model = build_model(config, 5, 1)
    assert {"cnn_features": 12, "conv_layers": 3, "lstm_hidden": 16}.items() <= model.architecture.items()
    assert model.gradient_checkpointing == 30


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model_type": "gru"}, "expected one of attention_lstm, cnn_lstm, lstm, got `gru` at model_type"),
        ({"model_type": "../config"}, "expected one of attention_lstm, cnn_lstm, lstm, got `../config` at model_type"),
        ({"model_type": "base"}, "expected one of attention_lstm, cnn_lstm, lstm, got `base` at model_type"),
        ({"model": {"heads": 4}}, "expected no further option, got `heads` at model of model_type=lstm"),
        (
            {"model_type": "cnn_lstm", "model": {"features": 4}},
            "expected one of cnn_features, conv_layers, kernel_size, pool_size, got `features` at model of model_type",
        ),
        ({"model_type": "cnn_lstm", "model": {"lstm_hidden": 4}}, "got `lstm_hidden` at model of model_type=cnn_lstm"),
        (
            {"model_type": "cnn_lstm", "model": {"cnn_features": "many"}},
            "expected `int`, got `str` at model.cnn_features",
        ),
        (
            {"model_type": "cnn_lstm", "model": {"kernel_size": 9}},
            "expected kernel_size of 3 to 5, got 9 of model_type=cnn_lstm",
        ),
        (
            {"model_type": "attention_lstm", "hidden_size": 100},
            "expected hidden_size a multiple of 8 attention_heads, got 100 of model_type=attention_lstm",
        ),
        ({"hidden_size": 16384, "num_layers": 64}, "expected a model of 1,000,000,000 parameters at most, got 136,"),
        ({"model": 3}, "expected `object`, got `int` at model of the configuration"),
    ],
)
def test_what_no_model_can_be_built_of_is_one_clear_line(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as error:
        from_dict({"device": "cpu", **settings})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "architecture",
    [
        {},
        {"model_type": "gru", "input_size": 3},
        {"model_type": "lstm"},
        {"model_type": "lstm", "input_size": 3, "colour": "red"},
        {"model_type": "cnn_lstm", "input_size": 3, "kernel_size": 9},
    ],
)
def test_a_manifest_of_another_trainer_is_a_broken_contract(architecture: dict[str, object]) -> None:
    with pytest.raises(ContractError, match=r"expected the description of a model, got .* at architecture of manifest"):
        model_from(architecture)
