"""Steps, schedules and optimisers: what moves the weights, and what must not."""

import copy
import logging
from dataclasses import replace

import pytest
import torch
from support.small_training import CONFIG, Linear, loader, mean_of_first_sensor
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from trainer.architectures import architecture_names, build_model
from trainer.config import TrainingConfig
from trainer.errors import TrainingError
from trainer.training.precision import Precision, open_precision
from trainer.training.sequence_trainer import SequenceModelTrainer, window_scores
from trainer.training.windows_at_once import WindowsAtOnce

WINDOWS = 64


def trainer_of(model: nn.Module, config: TrainingConfig = CONFIG) -> SequenceModelTrainer:
    return SequenceModelTrainer(model, config, mean_of_first_sensor(WINDOWS), mean_of_first_sensor(32))


def weights(model: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


class TestSchedules:
    def rates(self, **settings: object) -> list[float]:
        config = replace(CONFIG, num_epochs=4, early_stopping_patience=9, **settings)
        return [record.learning_rate for record in trainer_of(Linear(), config).train()]

    def test_none_leaves_the_learning_rate(self) -> None:
        assert self.rates(scheduler="none") == [0.1] * 4

    def test_cosine_comes_down_epoch_by_epoch(self) -> None:
        expected = [0.1, 0.1 * (2 + 2**0.5) / 4, 0.05, 0.1 * (2 - 2**0.5) / 4]
        assert self.rates(scheduler="cosine") == pytest.approx(expected)

    def test_one_cycle_moves_step_by_step_up_and_down_once(self) -> None:
        config = replace(CONFIG, num_epochs=4, early_stopping_patience=9, scheduler="one_cycle")
        seen: list[float] = []
        SequenceModelTrainer(
            Linear(),
            config,
            mean_of_first_sensor(WINDOWS),
            mean_of_first_sensor(32),
            on_step=lambda record: seen.append(record.learning_rate),
        ).train()
        top = seen.index(max(seen))
        assert len(seen) == 4 * WINDOWS // 8
        assert max(seen) == pytest.approx(0.1, rel=0.01)
        assert seen == sorted(seen[: top + 1]) + sorted(seen[top + 1 :], reverse=True)
        assert seen[-1] < seen[0] < 0.01

    def test_one_cycle_stays_down_when_more_epochs_are_trained_by_hand(self) -> None:
        trainer = trainer_of(Linear(), replace(CONFIG, num_epochs=2, early_stopping_patience=9, scheduler="one_cycle"))
        trainer.train_epoch()
        first, last = trainer.train()
        trainer.train_epoch()
        assert trainer.optimizer.param_groups[0]["lr"] == last.learning_rate < first.learning_rate

    def test_optimiser_is_the_one_asked_for(self) -> None:
        assert type(trainer_of(Linear()).optimizer) is torch.optim.AdamW
        assert type(trainer_of(Linear(), replace(CONFIG, optimizer="adam")).optimizer) is torch.optim.Adam

    def test_focal_loss_learns(self) -> None:
        history = trainer_of(Linear(), replace(CONFIG, loss="focal")).train()
        assert history[-1].train_loss < history[0].train_loss
        assert max(record.roc_auc for record in history) > 0.95


class Exploding(nn.Module):
    """A finite loss whose gradient is not: the root of zero."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)[:, :1] + self.weight.sqrt()


class TestNumbersThatAreNone:
    def test_gradient_that_is_not_finite_never_reaches_the_weights(self) -> None:
        model = Exploding()
        before = weights(model)
        with pytest.raises(TrainingError, match=r"finite gradient, got (nan|inf) at step 1 of epoch 1: lower"):
            trainer_of(model).train_epoch()
        assert all(map(torch.equal, weights(model), before))

    def test_half_precision_skips_the_step_and_gives_up_after_many_in_a_row(self) -> None:
        model = Exploding()
        before = weights(model)
        trainer = trainer_of(model)
        trainer._step.precision = Precision("cpu", torch.float16, GradScaler("cpu", enabled=True))
        done = trainer.train_epoch()
        assert done["skipped_steps"] == WINDOWS // 8
        assert trainer._step.precision.scaler.get_scale() == 65536 / 2 ** (WINDOWS // 8)
        trainer.train_epoch()
        with pytest.raises(TrainingError, match=r"finite gradient within 20 steps, got (nan|inf) at step 4"):
            trainer.train_epoch()
        assert all(map(torch.equal, weights(model), before))

    def test_soft_labels_train_and_validation_of_one_class_is_refused(self) -> None:
        soft = loader(torch.randn(8, 6, 2), torch.full((8, 1), 0.3))
        assert SequenceModelTrainer(Linear(), CONFIG, soft, soft).train_epoch()["loss"] > 0
        with pytest.raises(TrainingError, match="windows of both classes, got 3 of one at target 0"):
            window_scores(torch.rand(3, 1).numpy(), torch.ones(3, 1).numpy())


class TestPrecision:
    def test_what_the_device_does_not_have_is_refused_with_a_remedy(self) -> None:
        with pytest.raises(TrainingError, match=r"precision=fp16: set precision=float32, or device=cuda"):
            open_precision(replace(CONFIG, precision="fp16"), torch.device("cpu"))
        capable = any(torch.cpu.get_capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
        bf16 = replace(CONFIG, precision="bf16")
        if capable:
            assert open_precision(bf16, torch.device("cpu")).dtype is torch.bfloat16
        else:
            with pytest.raises(TrainingError, match=r"bf16, got a CPU of .* at precision=bf16: set precision=float32"):
                open_precision(bf16, torch.device("cpu"))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_weights_logits_and_gradients_stay_float32(self, dtype: torch.dtype) -> None:
        seen: list[torch.dtype] = []
        model = Linear()
        model.layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
        trainer = trainer_of(model)
        trainer._step.precision = Precision("cpu", dtype, GradScaler("cpu", enabled=dtype is torch.float16))
        history = trainer.train()
        assert set(seen) == {dtype}
        assert model.layer.weight.dtype is torch.float32
        assert model.layer.weight.grad is not None
        assert model.layer.weight.grad.dtype is torch.float32
        batch = next(iter(mean_of_first_sensor()))
        assert trainer._step.logits(batch, slice(None)).dtype is torch.float32
        assert history[-1].roc_auc > 0.95
        assert history[-1].skipped_steps == 0

    @pytest.mark.filterwarnings("ignore:TF32 acceleration:UserWarning")  # of torch's own flags, read back
    @pytest.mark.parametrize("segment", [0, 5])
    @pytest.mark.parametrize("model_type", architecture_names())
    def test_every_architecture_learns_in_bf16_also_with_gradient_checkpointing(
        self, model_type: str, segment: int
    ) -> None:
        config = replace(
            CONFIG, model_type=model_type, hidden_size=8, num_layers=2, dropout=0.0, learning_rate=0.01,
            gradient_checkpointing=segment, inputs="both",
        )  # fmt: skip
        torch.manual_seed(0)
        windows, labels = torch.randn(16, 12, 3), (torch.arange(16) % 2)[:, None].float()
        windows[:, :, 0] += 2 * labels
        batch = (windows, labels)
        for lengths in ((), (torch.arange(16) % 6 + 7,)):
            whole, narrow = (build_model(config, 3, 1) for _ in range(2))
            narrow.load_state_dict(whole.state_dict())
            losses = []
            for model, dtype in ((whole, None), (narrow, torch.bfloat16)):
                trainer = SequenceModelTrainer(model, config, mean_of_first_sensor(), mean_of_first_sensor())
                trainer._step.precision = Precision("cpu", dtype, GradScaler("cpu", enabled=False))
                with torch.backends.mkldnn.flags(enabled=False):  # it has a bf16 LSTM only where the processor has bf16
                    losses.append([trainer._step((*batch, *lengths), "here").loss for _ in range(4)])
            assert losses[1] == pytest.approx(losses[0], rel=0.05)
            assert losses[1][-1] < losses[1][0]


class Narrow(Linear):
    """Takes so many windows at once, and no more."""

    def __init__(self, most: int, allocator: str) -> None:
        super().__init__()
        self.most = most
        self.allocator = allocator

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.most:
            if self.allocator == "cpu":
                torch.empty(1 << 60)  # what the CPU's own allocator says
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(x)


class TestBatchTooLarge:
    @pytest.mark.parametrize("allocator", ["cpu", "cuda"])
    def test_is_halved_until_it_fits_and_the_steps_are_the_same(
        self, allocator: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        narrow = Narrow(3, allocator)
        wide = Linear()
        wide.load_state_dict(narrow.state_dict())
        with caplog.at_level(logging.WARNING):
            history = trainer_of(narrow).train()
        reference = trainer_of(wide).train()
        said = [record.message for record in caplog.records]
        assert said == [
            "training: 8 windows at once are too many for the device, going on with 4",
            "training: 4 windows at once are too many for the device, going on with 2",
            "validation: 8 windows at once are too many for the device, going on with 4",
            "validation: 4 windows at once are too many for the device, going on with 2",
        ]
        for found, expected in zip(weights(narrow), weights(wide), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert {record.windows_at_once for record in history} == {2}
        assert {record.windows_at_once for record in reference} == {8}

    def test_one_window_that_does_not_fit_is_an_error(self) -> None:
        with pytest.raises(TrainingError, match="memory for one window, got `CUDA out of memory"):
            trainer_of(Narrow(0, "cuda")).train_epoch()

    def test_other_errors_of_the_model_are_not_taken_for_want_of_memory(self) -> None:
        def fail(size: int) -> None:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

        with pytest.raises(RuntimeError, match="mat1"):
            WindowsAtOnce("training").run(8, fail)

    def test_lengths_are_parted_with_their_windows(self) -> None:
        class Lengths(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.scale = nn.Parameter(torch.ones(1))
                self.most = 99

            def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
                if len(x) > self.most:
                    raise torch.OutOfMemoryError("no")
                return self.scale * lengths[:, None].float()

        model = Lengths()
        trainer = trainer_of(model)
        batch = (torch.zeros(5, 6, 2), torch.tensor([[1.0]] * 5), torch.arange(1, 6), torch.ones(5, 6))
        whole = trainer._step(copy.copy(batch), "here").loss
        model.scale.data.fill_(1)
        model.most = 2
        assert trainer._step(batch, "here").loss == pytest.approx(whole)
