"""Whether a dataset may be trained or judged on: nothing altered since it was made, nothing seen by two splits."""

from models.windows import WindowRules
from trainer.datasets.dataset import Dataset
from trainer.datasets.splits import check_no_leak


def check_integrity(dataset: Dataset, rules: WindowRules) -> None:
    """Refuse a leak between the splits, then content that differs from the fingerprint.

    Args:
        dataset: all of it is read once.
        rules: of the windows to be cut; sequences of one strand in different splits must lie a window apart.

    Raises:
        ContractError: names the sequences or the file.
    """
    check_no_leak(dataset.sequences(), window_ms=rules.length * rules.period_ms)
    dataset.verify()
