"""The format on disk: what is written is read, the same content has the same fingerprint, damage is named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.errors import ContractError, UsageError
from models.features import Sensor
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event, SequenceData
from trainer.datasets.splits import check_no_leak
from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.simulator import simulate

SENSORS = (Sensor("speed_m_min", "m/min", 0, 3), Sensor("flow_l_min", "L/min", 0, 100))


def sequence(name: str, start_ms: int = 0, rows: int = 6, strand: str = "p1.c1.s1") -> SequenceData:
    values = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2) / 3
    values[1, 0] = np.nan
    return SequenceData(
        sequence_id=name,
        strand_id=strand,
        event_time_ms=start_ms + np.arange(rows, dtype=np.int64) * 500,
        values=values,
        seq=np.arange(rows, dtype=np.int64),
        heat_id=("H1",) * (rows - 1) + (None,),
        strand_position_m=np.append(np.arange(rows - 1) * 0.01, np.nan),
    )


def event(name: str, sequence_id: str, target: str | None = "sticker", at_ms: int = 500) -> Event:
    return Event(
        event_id=name,
        sequence_id=sequence_id,
        strand_id="p1.c1.s1",
        type="sticker",
        target=target,
        onset_ms=at_ms,
        detectable_ms=at_ms + 500,
        impact_ms=None,
        end_ms=at_ms + 1000,
        ignore_until_ms=at_ms + 1500,
        healed=True,
        position_m=float("nan"),
    )


def write(path, names=("a", "b", "c"), seed=1):
    with DatasetWriter(
        path, line="test", seed=seed, period_ms=500, sensors=SENSORS, targets=("sticker",), configuration={"x": 1}
    ) as writer:
        for number, name in enumerate(names):
            writer.add(sequence(name, number * 100_000), [event(f"{name}-0", name, at_ms=number * 100_000)])
    return writer


def test_what_is_written_is_read_back(tmp_path):
    written = write(tmp_path / "d")
    dataset = Dataset.open(tmp_path / "d")
    assert dataset.info == written.info
    assert dataset.info.sensors == SENSORS
    assert dataset.info.configuration == {"x": 1}
    assert dataset.sequences() == written.sequences
    assert sorted(info.split for info in dataset.sequences()) == ["test", "train", "validation"]
    for split in ("train", "validation", "test"):
        assert [info.split for info in dataset.sequences(split)] == [split]
    back, given = dataset.load("b"), sequence("b", 100_000)
    assert np.array_equal(back.values, given.values, equal_nan=True)
    assert back.values.dtype == np.float32
    assert np.array_equal(back.event_time_ms, given.event_time_ms)
    assert np.array_equal(back.strand_position_m, given.strand_position_m, equal_nan=True)
    assert back.heat_id == given.heat_id
    assert [found.event_id for found in dataset.events()] == ["a-0", "b-0", "c-0"]
    (found,) = dataset.events("b")
    assert found.onset_ms == 100_000
    assert found.impact_ms is None
    assert np.isnan(found.position_m)
    dataset.verify()


def test_all_that_is_known_of_an_event_is_read_back(tmp_path):
    told = replace(
        event("a-0", "a"), difficulty="order", look_alike_of="crack", pair_id="a-p1", sensors=("flow_l_min",),
        recorded_type="crack", recorded_at_ms=9_000, recorded_position_m=0.25, position_m=0.5,
    )  # fmt: skip
    mirror = ((("speed_m_min", "flow_l_min"),),)
    fingerprints = []
    for name, given in (("told", told), ("silent", replace(told, recorded_type=None, recorded_at_ms=None))):
        with DatasetWriter(
            tmp_path / name, line="t", seed=1, period_ms=500, sensors=SENSORS, targets=("sticker",), symmetries=mirror
        ) as writer:
            writer.add(sequence("a"), [given])
        fingerprints.append(writer.info.fingerprint)
    dataset = Dataset.open(tmp_path / "told")
    assert dataset.events() == [told]
    assert dataset.info.symmetries == mirror
    dataset.verify()
    assert fingerprints[0] != fingerprints[1]


def test_symmetry_of_unknown_sensors_is_refused(tmp_path):
    with pytest.raises(ValueError, match="symmetry"):
        DatasetWriter(
            tmp_path / "d", line="t", seed=1, period_ms=500, sensors=SENSORS, targets=(), symmetries=((("a", "b"),),)
        )


def test_same_seed_same_bytes(tmp_path):
    config = LineConfig.model_validate({"sequence_s": 600, "sticker": {"per_hour": 6}})
    for name in ("one", "two"):
        with DatasetWriter(
            tmp_path / name, line="line/v0", seed=7, period_ms=500, sensors=_casting(), targets=("sticker",)
        ) as writer:
            for made in simulate(config, strands=2, hours=1 / 3, seed=7):
                writer.add(made.sequence, made.events)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def _casting():
    from models.features import CASTING_SENSORS

    return CASTING_SENSORS


def test_fingerprint_knows_every_value_split_and_event_but_not_the_order_of_writing(tmp_path):
    first = write(tmp_path / "1").info.fingerprint
    assert write(tmp_path / "2", names=("a", "b", "c")).info.fingerprint == first
    assert write(tmp_path / "3", names=("a", "b")).info.fingerprint != first
    fingerprints = set()
    for number, (changed, moved, split) in enumerate(
        [(False, False, "train"), (True, False, "train"), (False, True, "train"), (False, False, "test")]
    ):
        data = sequence("a")
        if changed:
            data.values[2, 1] = np.nextafter(data.values[2, 1], np.float32(9))
        with DatasetWriter(
            tmp_path / f"x{number}", line="test", seed=1, period_ms=500, sensors=SENSORS, targets=("sticker",)
        ) as writer:
            writer.add(data, [event("a-0", "a", at_ms=1000 if moved else 500)], split)
        fingerprints.add(writer.info.fingerprint)
    assert len(fingerprints) == 4


def test_an_occupied_place_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match=r"expected a new or empty folder, got a folder that is not empty at .*--out"):
        write(tmp_path)
    with pytest.raises(UsageError, match="got a file"):
        write(tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_error_while_writing_leaves_no_dataset_and_the_place_free(tmp_path):
    def interrupted() -> None:
        with _failing(tmp_path / "d") as writer:
            writer.add(sequence("a"))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        interrupted()
    with pytest.raises(ContractError, match="no such file"):
        Dataset.open(tmp_path / "d")
    write(tmp_path / "d")


def test_an_interrupt_in_the_middle_of_a_file_leaves_nothing_behind(tmp_path):
    class Values(np.ndarray):
        """Values that are interrupted while Arrow reads them."""

        @property
        def T(self):  # noqa: N802 - numpy's name
            raise KeyboardInterrupt

    data = sequence("b")
    broken = replace(data, values=data.values.view(Values))

    def interrupted() -> None:
        with _failing(tmp_path / "d") as writer:
            writer.add(sequence("a"))
            writer.add(broken)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "d")


def test_an_error_at_the_end_leaves_nothing_behind(tmp_path):
    with (
        pytest.raises(ValueError, match="JSON"),
        DatasetWriter(
            tmp_path / "d",
            line="test",
            seed=1,
            period_ms=500,
            sensors=SENSORS,
            targets=("sticker",),
            configuration={"x": float("nan")},
        ) as writer,
    ):
        writer.add(sequence("a"))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_seen_at_the_place_until_it_is_whole(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with _failing(tmp_path / "link") as writer:
        writer.add(sequence("a"))
        assert list((tmp_path / "empty").iterdir()) == []
    assert Dataset.open(tmp_path / "empty").sequences() == writer.sequences
    assert (tmp_path / "link").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "link"}
    assert (tmp_path / "empty").stat().st_mode & 0o777 == (tmp_path / "empty" / "sequences").stat().st_mode & 0o777


def _failing(path):
    return DatasetWriter(path, line="test", seed=1, period_ms=500, sensors=SENSORS, targets=("sticker",))


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (sequence("../a"), []),
        (sequence("a"), [event("e", "b")]),
        (sequence("a"), [event("e", "a", target="quality")]),
        (sequence("a"), [replace(event("e", "a"), sensors=("mould_level_mm",))]),
    ],
)
def test_what_does_not_belong_is_not_written(tmp_path, data, events):
    with pytest.raises(ValueError, match=r"file name|belongs to another"), _failing(tmp_path / "d") as writer:
        writer.add(data, events)


def _edit(path, change):
    index = json.loads((path / "dataset.json").read_text())
    change(index)
    (path / "dataset.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "dataset.json").write_text("{"), r"expected JSON, got .* at .*dataset\.json"),
        (lambda d: (d / "dataset.json").write_text("[]"), r"expected format 2, got list at .*dataset\.json"),
        (lambda d: _edit(d, lambda i: i.update(format=1)), r"expected format 2, got 1 at .*dataset\.json, format"),
        (lambda d: _edit(d, lambda i: i.pop("seed")), r"missing required field `seed` in .*dataset\.json"),
        (
            lambda d: _edit(d, lambda i: i["sensors"][1].update(low="x")),
            r"expected `float`, got `str` - at `\$\.sensors",
        ),
        (lambda d: _edit(d, lambda i: i["sequences"][0].update(split="all")), r"invalid enum value 'all'.*split"),
        (lambda d: (d / "sequences" / "b.parquet").unlink(), r"expected sequences/b\.parquet, got no such file at"),
        (lambda d: (d / "events.parquet").unlink(), r"expected a Parquet file, got .* at .*events\.parquet"),
        (lambda d: (d / "events.parquet").write_bytes(b"PAR1junk"), r"expected a Parquet file, got .*events\.parquet"),
        (
            lambda d: (d / "events.parquet").write_bytes((d / "sequences" / "a.parquet").read_bytes()),
            r"expected column `event_id` of string, got `event_time_ms` of int64 at .*events\.parquet, column 0",
        ),
    ],
)
def test_a_broken_folder_is_named_when_it_is_opened(tmp_path, damage, message):
    write(tmp_path / "d")
    damage(tmp_path / "d")
    with pytest.raises(ContractError, match=message) as caught:
        Dataset.open(tmp_path / "d")
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_none_is_named(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ContractError, match=r"got no such file at .*dataset\.json"):
            Dataset.open(place)


def test_exchanged_content_is_found_by_the_fingerprint(tmp_path):
    write(tmp_path / "d")
    folder = tmp_path / "d" / "sequences"
    (folder / "a.parquet").write_bytes((folder / "b.parquet").read_bytes())
    with pytest.raises(ContractError, match=r"expected content of sha256 .* at .*a\.parquet"):
        Dataset.open(tmp_path / "d").verify()
    write(tmp_path / "e")
    _edit(tmp_path / "e", lambda index: index["sequences"][0].update(split="validation"))
    _edit(tmp_path / "e", lambda index: index["sequences"][1].update(split="validation"))
    _edit(tmp_path / "e", lambda index: index["sequences"][2].update(split="validation"))
    with pytest.raises(ContractError, match="expected fingerprint"):
        Dataset.open(tmp_path / "e").verify()


def test_loading_names_an_unknown_sequence_and_a_wrong_length(tmp_path):
    write(tmp_path / "d")
    _edit(tmp_path / "d", lambda index: index["sequences"][0].update(rows=99))
    dataset = Dataset.open(tmp_path / "d")
    with pytest.raises(ContractError, match=r"expected 99 rows, got 6 at .*a\.parquet"):
        dataset.load("a")
    with pytest.raises(ContractError, match="got `z` at"):
        dataset.load("z")


def test_a_simulated_dataset_has_no_leak(tmp_path):
    config = LineConfig.model_validate({"sequence_s": 600})
    with DatasetWriter(
        tmp_path / "d", line="line/v0", seed=7, period_ms=500, sensors=_casting(), targets=("sticker",)
    ) as writer:
        for made in simulate(config, strands=2, hours=0.5, seed=7):
            writer.add(made.sequence, made.events)
    check_no_leak(Dataset.open(tmp_path / "d").sequences(), window_ms=60_000)
