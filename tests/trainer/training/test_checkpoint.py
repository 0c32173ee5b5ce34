"""A checkpoint is whole or it is refused."""

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trainer.errors import TrainingError
from trainer.training.checkpoint import Checkpoints

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(3), "rng": torch.arange(9, dtype=torch.uint8)}
STATE = {"best": float("-inf"), "rate": 0.1 + 0.2, "nothing": None, "list": [1, 2.5]}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "it.training")


def test_what_was_saved_comes_back_bit_for_bit(checkpoints: Checkpoints) -> None:
    assert checkpoints.newest() is None
    checkpoints.save(1, TENSORS, STATE)
    saved = checkpoints.newest()
    assert saved is not None
    assert saved.state == STATE
    assert saved.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert saved.tensors[name].dtype == tensor.dtype
        assert torch.equal(saved.tensors[name], tensor)


def test_the_last_two_are_kept_and_removing_leaves_what_is_not_its_own(checkpoints: Checkpoints) -> None:
    for epoch in range(1, 12):
        checkpoints.save(epoch, TENSORS, STATE)
    assert [path.name for path in checkpoints.paths()] == ["epoch-000010.safetensors", "epoch-000011.safetensors"]
    assert checkpoints.last_epoch() == 11
    (checkpoints.folder / ".epoch-000012.safetensors.part").write_bytes(b"half")
    notes = checkpoints.folder / "notes.txt"
    notes.write_text("mine")
    checkpoints.remove()
    assert list(checkpoints.folder.iterdir()) == [notes]
    notes.unlink()
    checkpoints.remove()
    assert not checkpoints.folder.exists()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_flipped_bit_and_any_cut_is_found(checkpoints: Checkpoints, data: st.DataObject) -> None:
    checkpoints.remove()
    path = checkpoints.save(1, TENSORS, STATE)
    whole = path.read_bytes()
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(whole) - 1))
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << data.draw(st.integers(0, 7))
        path.write_bytes(spoilt)
    else:
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(TrainingError, match="expected a whole checkpoint, got `"):
        checkpoints.newest()


def test_a_corrupt_one_is_one_line_that_names_it_and_the_one_before(checkpoints: Checkpoints) -> None:
    checkpoints.save(1, TENSORS, STATE)
    path = checkpoints.save(2, TENSORS, STATE)
    spoilt = bytearray(path.read_bytes())
    spoilt[-1] ^= 1
    path.write_bytes(spoilt)
    with pytest.raises(TrainingError) as error:
        checkpoints.newest()
    assert str(path) in str(error.value)
    assert str(error.value).endswith("delete it, then --resume goes on from epoch-000001.safetensors")
    assert "\n" not in str(error.value)
    path.unlink()
    assert checkpoints.newest() is not None


def test_a_folder_that_takes_no_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "it.training").write_text("a file")
    with pytest.raises(TrainingError, match=r"got `Not a directory` at .*there is none before it"):
        Checkpoints(tmp_path / "it.training").save(1, TENSORS, STATE)
