"""The thermocouple array is an option: names, places, mirror, and the line simulated with it."""

import numpy as np
import pytest

from models.features import CASTING_SENSORS
from trainer.line.config import LineConfig
from trainer.line.mould_array import MouldArray
from trainer.line.simulator import simulate


def array_of(rows: int, columns: int) -> tuple[LineConfig, MouldArray]:
    config = LineConfig.model_validate({"thermocouples": {"rows": rows, "columns": columns}})
    return config, MouldArray.of(config)


def test_two_by_two_is_the_reference_strand():
    _, array = array_of(2, 2)
    assert array.sensors == CASTING_SENSORS
    assert array.columns_m == (-0.3, 0.3)
    assert array.symmetries == (
        (("mould_tc_upper_left_c", "mould_tc_upper_right_c"), ("mould_tc_lower_left_c", "mould_tc_lower_right_c")),
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (3, 1), (3, 5), (4, 8)])
def test_any_array_lies_within_the_face_and_names_each_thermocouple_once(rows, columns):
    config, array = array_of(rows, columns)
    assert len(set(array.names)) == rows * columns == array.count
    assert len(array.sensors) == 16 + rows * columns
    assert max(map(abs, array.columns_m)) <= config.geometry.width_m / 2 - 0.1 + 1e-9
    assert sum(array.columns_m) == pytest.approx(0)
    mirrored = [name for symmetry in array.symmetries for pair in symmetry for name in pair]
    assert len(mirrored) == len(set(mirrored)) == rows * (columns - columns % 2)


def test_a_larger_array_is_simulated_and_lower_rows_are_cooler():
    config, array = array_of(3, 4)
    (made,) = simulate(config, strands=1, hours=0.25, seed=2)
    assert made.sequence.values.shape[1] == len(array.sensors) == 28
    columns = {sensor.name: made.sequence.values[:, index] for index, sensor in enumerate(array.sensors)}
    means = [np.nanmean([np.nanmean(columns[name]) for name in array.names[row * 4 : row * 4 + 4]]) for row in range(3)]
    assert means[0] > means[1] + 15 > means[2] + 20
    assert {name for event in made.events for name in event.sensors} <= set(columns)
