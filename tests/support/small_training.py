"""Models and windows small enough to train within a test."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from trainer.config import TrainingConfig

CONFIG = TrainingConfig(
    num_epochs=6, early_stopping_patience=2, learning_rate=0.1, batch_size=8, device="cpu", class_weight=1.0
)


class Linear(nn.Module):
    """Mean over time, dropout, one layer."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.layer = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.dropout(x.mean(1)))


def loader(windows: Tensor, labels: Tensor, *, shuffle: bool = False) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(windows, labels), batch_size=8, shuffle=shuffle)


def mean_of_first_sensor(count: int = 64, *, shuffle: bool = False) -> DataLoader[tuple[Tensor, ...]]:
    """Windows that are positive where the mean of their first sensor is."""
    generator = torch.Generator().manual_seed(0)
    windows = torch.randn(count, 6, 2, generator=generator)
    return loader(windows, (windows[:, :, :1].mean(1) > 0).float(), shuffle=shuffle)
