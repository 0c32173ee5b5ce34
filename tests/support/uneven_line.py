"""A seeded line as no plant should be: uneven rates, gaps, doubled and late scans, a clock set back, rubbish."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from models.messages import SensorScan, encode

START_MS = 1_764_000_000_000
SENSOR = "mould_tc_upper_left_c"
RUBBISH = {
    b"": "empty", b"{": "malformed", b"\xff\xfe": "encoding", b'{"strand_id": "p1.c1.s0"}': "schema", b"[]": "schema",
}  # fmt: skip
"""What is no scan, and why."""


@dataclass(frozen=True, slots=True)
class Published:
    """One record: its key, its bytes, and the scan in it, None for rubbish."""

    key: str
    value: bytes
    scan: SensorScan | None


class _Strand:
    """One strand's own clock and its wandering value: it crosses the thresholds now and then, and rests there."""

    def __init__(self, name: str, rng: random.Random, *, is_orderly: bool) -> None:
        self.name, self._rng, self._is_orderly = name, rng, is_orderly
        self._now, self._seq, self._value, self._aim = START_MS + rng.randrange(500), 0, 0.0, 0.0
        self._last: SensorScan | None = None

    def next(self) -> SensorScan:
        dice = self._rng.random()
        if self._last is not None and dice < 0.02:
            return self._last  # the same again
        if self._last is not None and dice < 0.04 and not self._is_orderly:
            return self._scan(self._now - self._rng.choice((500, 1500)))
        if dice < 0.045:
            self._now += 20_000
        elif dice < 0.055 and not self._is_orderly:
            self._now -= 60_000
        self._now += 500
        if self._rng.random() < 0.03:
            self._aim = self._rng.choice((-0.6, 0.6))
        self._value += 0.2 * (self._aim - self._value)
        self._last = self._scan(self._now)
        return self._last

    def _scan(self, event_time_ms: int) -> SensorScan:
        self._seq += 1
        value = None if self._rng.random() < 0.02 else round(self._value + self._rng.gauss(0, 0.02), 4)
        return SensorScan(
            strand_id=self.name,
            event_time_ms=event_time_ms,
            seq=self._seq,
            values={SENSOR: value},
            heat_id=f"H{self._seq // 200}",
            strand_position_m=self._seq / 50,
        )


def uneven_line(seed: int, strands: int = 8, *, is_orderly: bool = False) -> Iterator[Published]:
    """Records without end, in the order in which they are to be published; the same for the same seed.

    Args:
        seed: of everything.
        strands: of very different rates.
        is_orderly: whether no scan is late and no clock set back.
    """
    rng = random.Random(seed)
    every = [_Strand(f"p1.c{number // 4}.s{number % 4}", rng, is_orderly=is_orderly) for number in range(strands)]
    rates = [2.0 ** -rng.uniform(0, 4) for _ in every]
    while True:
        (strand,) = rng.choices(every, rates)
        if rng.random() < 0.01:
            yield Published(strand.name, rng.choice([*RUBBISH]), None)
        else:
            scan = strand.next()
            yield Published(strand.name, encode(scan), scan)
