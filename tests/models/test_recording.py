"""The recording file: what is kept, what is refused, and what the shipped one shows."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import recording as recordings
from models.errors import ContractError
from models.features import CASTING_SENSORS, Sensor
from models.recording import RecordedEvent, Recording

SENSORS = (Sensor("level_mm", "mm", -60, 60), Sensor("flow_l_min", "L/min", 0, 6000))
EVENT = RecordedEvent("p1.c1.s1", "sticker", "sticker", 500, 1000, None, 1500, 2000, True)


def make(values=None, sensors=SENSORS) -> Recording:
    if values is None:
        values = np.array([[[1.25, 3600.3], [np.nan, 3601.0], [-0.07, np.nan]]], dtype=np.float32)
    strands, time, _ = values.shape
    return Recording(
        sensors=sensors,
        period_ms=500,
        strands=tuple(f"p1.c1.s{index + 1}" for index in range(strands)),
        event_time_ms=1_000_000 + np.arange(time, dtype=np.int64) * 500,
        values=values,
        strand_position_m=np.linspace(0, 1, strands * time).reshape(strands, time).round(3),
        heat_ids=tuple(("H1",) * (time - 1) + (None,) for _ in range(strands)),
        events=(EVENT,),
        about="made by a test",
    )


def test_what_is_written_is_read_back(tmp_path):
    path, given_ = tmp_path / "sub" / "line.npz", make()
    recordings.write(path, given_)
    back = recordings.read(path)
    for name in ("sensors", "period_ms", "strands", "heat_ids", "events", "about"):
        assert getattr(back, name) == getattr(given_, name), name
    assert np.array_equal(back.values, given_.values, equal_nan=True)
    assert back.values.dtype == np.float32
    assert np.array_equal(back.event_time_ms, given_.event_time_ms)
    assert np.array_equal(back.strand_position_m, given_.strand_position_m)
    assert [path.name for path in path.parent.iterdir()] == ["line.npz"]


def test_the_same_recording_makes_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        recordings.write(tmp_path / name, make())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@given(
    low=st.floats(-1e4, 1e4),
    width=st.floats(1e-3, 1e5),
    shares=st.lists(st.one_of(st.floats(0, 1), st.none()), min_size=1, max_size=20),
)
def test_values_within_the_range_come_back_within_half_a_resolution(tmp_path_factory, low, width, shares):
    sensor = Sensor("x_mm", "mm", low, low + width)
    values = np.array([[[np.nan if s is None else low + s * width] for s in shares]], dtype=np.float32)
    path = tmp_path_factory.mktemp("recording") / "line.npz"
    recordings.write(path, make(values, (sensor,)))
    back = recordings.read(path).values
    resolution = 10.0 ** -recordings.decimals_of(sensor)
    assert resolution <= width / 6553
    rounding = np.spacing(np.float32(max(abs(low), abs(low + width))))  # float32 itself is coarser far from zero
    assert np.array_equal(np.isnan(back), np.isnan(values))
    assert np.nanmax(np.abs(back - values), initial=0) <= 0.5001 * resolution + rounding


@pytest.mark.parametrize("sensor", CASTING_SENSORS, ids=lambda sensor: sensor.name)
def test_every_casting_sensor_keeps_the_decimals_its_instrument_shows(sensor):
    from trainer.line.instruments import DECIMALS, TC_DECIMALS

    assert recordings.decimals_of(sensor) >= DECIMALS.get(sensor.name, TC_DECIMALS)


def test_a_value_far_outside_its_sensors_range_is_refused(tmp_path):
    values = np.full((1, 2, 2), 1e6, dtype=np.float32)
    with pytest.raises(ContractError, match=r"expected `level_mm` within about -60 to 60 mm, got 1000000"):
        recordings.write(tmp_path / "line.npz", make(values))
    assert not (tmp_path / "line.npz").exists()


def test_arrays_that_do_not_fit_are_a_programmers_mistake():
    with pytest.raises(ValueError, match="strand, time, sensor"):
        make(np.zeros((1, 2, 3), dtype=np.float32))


def _rewrite(path, **changes):
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    for name, change in changes.items():
        arrays[name] = change(arrays[name])
    np.savez(path, **arrays)


def _meta(change):
    def edit(array):
        meta = json.loads(array.tobytes())
        change(meta)
        return np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p.unlink(), "got no such file at"),
        (lambda p: p.write_bytes(b"not a zip"), "expected a recording, got"),
        (lambda p: p.write_bytes(p.read_bytes()[:-40]), "expected a recording, got"),
        (lambda p: np.savez(p, other=np.zeros(3)), "expected a recording, got .*meta"),
        (lambda p: _rewrite(p, meta=lambda _: np.zeros(3, np.uint8)), "expected a recording's description, got"),
        (lambda p: _rewrite(p, meta=_meta(lambda m: m.update(format=9))), "expected format 1, got 9 at .*meta.format"),
        (lambda p: _rewrite(p, meta=_meta(lambda m: m.pop("events"))), "missing required field `events`"),
        (lambda p: _rewrite(p, meta=_meta(lambda m: m["decimals"].pop())), "decimals of each sensor"),
        (lambda p: _rewrite(p, meta=_meta(lambda m: m.update(heats=[[]]))), "heats of each strand"),
        (lambda p: _rewrite(p, values=lambda v: v[:, :, 1:]), r"expected int16 \[1, 2, 3\], got int16 \[1, 2, 2\]"),
        (lambda p: _rewrite(p, values=lambda v: v.astype(float)), r"got float64 \[1, 2, 3\] at .*values"),
        (lambda p: _rewrite(p, strand_position_mm=lambda v: v[:0]), "strand_position_mm"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, damage, message):
    path = tmp_path / "line.npz"
    recordings.write(path, make())
    damage(path)
    with pytest.raises(ContractError, match=message) as caught:
        recordings.read(path)
    assert "line.npz" in str(caught.value)


def test_pickled_arrays_are_never_loaded(tmp_path):
    path = tmp_path / "line.npz"
    recordings.write(path, make())
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    arrays["values"] = np.array([{"a": 1}], dtype=object)
    np.savez(path, **arrays)
    with pytest.raises(ContractError, match="expected a recording, got"):
        recordings.read(path)


@pytest.fixture(scope="module")
def shipped() -> Recording:
    return recordings.read(recordings.default_path())


def test_the_shipped_recording_is_small_and_long_enough(shipped):
    assert recordings.default_path().stat().st_size <= 1_500_000
    assert shipped.sensors == CASTING_SENSORS
    assert len(shipped.strands) >= 8
    assert len(shipped.event_time_ms) * shipped.period_ms >= 20 * 60_000
    assert set(np.diff(shipped.event_time_ms)) == {500}
    assert 0 < np.isnan(shipped.values).mean() < 0.01
    assert "denser" in shipped.about


def test_the_shipped_recording_has_something_to_show_early_and_look_alikes_that_must_not_alarm(shipped):
    start = shipped.event_time_ms[0]
    stickers = [event for event in shipped.events if event.target == "sticker"]
    assert len(stickers) >= 6
    assert {event.healed for event in stickers} == {True, False}
    assert 200_000 <= min(event.detectable_ms for event in stickers) - start <= 300_000
    placed = [event for event in shipped.events if event.type not in {"ladle_change", "false_record"}]
    assert min(event.onset_ms for event in placed) - start >= 120_000
    kinds = [event.type for event in shipped.events if event.target is None]
    assert kinds.count("speed_step") >= 3
    assert kinds.count("film_fracture") >= 3
    for event in stickers:
        assert event.strand_id in shipped.strands
        assert (event.impact_ms is None) == event.healed
        assert event.end_ms <= shipped.event_time_ms[-1]


def test_a_further_turn_begins_after_a_pause_that_restarts_every_window(shipped):
    assert shipped.loop_ms - (shipped.event_time_ms[-1] - shipped.event_time_ms[0]) > 60_000
