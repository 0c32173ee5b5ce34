"""The recorded line that ships with the worker: twenty minutes of ten strands, told like a story.

The script below places far more events than a caster sees, so that a short show has something to show: one
sticker of a strand comes in 100 to 300 hours, here eight come in twenty minutes. The first is detectable
between 200 and 300 s, once every window has warmed up. Everything else is drawn as in any other sequence, from
random numbers that no training data shares, whatever its seed.
"""

import numpy as np

from models.features import CASTING_SENSORS
from models.recording import RecordedEvent, Recording
from trainer.datasets.records import Event
from trainer.line.config import LineConfig
from trainer.line.schedule import Scheduled
from trainer.line.simulator import RECORDING_DOMAIN, SequencePlace, simulate_sequences

RECORDING_SEED = 9_000_001
RECORDING_S = 1200.0
RECORDING_EPOCH_MS = 1_767_225_600_000  # 2026-01-01 00:00 UTC

SCRIPT: tuple[tuple[Scheduled, ...], ...] = (
    (Scheduled("sticker", 470, healed=False), Scheduled("film_fracture", 800), Scheduled("speed_step", 1050)),
    (Scheduled("film_patch", 260), Scheduled("speed_step", 640), Scheduled("film_fracture", 1060)),
    (Scheduled("sticker", 210, healed=False, difficulty="summary"), Scheduled("sticker", 930, healed=True)),
    (Scheduled("film_fracture", 400), Scheduled("speed_step", 560), Scheduled("tc_fault", 860)),
    (Scheduled("speed_step", 240), Scheduled("sticker", 720, healed=False)),
    (Scheduled("film_fracture", 150), Scheduled("sen_change", 620), Scheduled("level_glitch", 1000)),
    (Scheduled("sticker", 330, healed=True), Scheduled("film_fracture", 700), Scheduled("speed_step", 1000)),
    (Scheduled("speed_step", 140), Scheduled("sticker", 850, healed=False)),
    (Scheduled("speed_step", 310), Scheduled("sticker", 600, healed=True), Scheduled("film_fracture", 950)),
    (Scheduled("film_fracture", 520), Scheduled("speed_step", 740), Scheduled("sticker", 910, healed=False)),
)


def record(config: LineConfig, seed: int = RECORDING_SEED) -> Recording:
    """Simulate the script, one strand a line.

    Args:
        config: every figure of the line; its rates of events do not matter here.
        seed: the seed, told in the recording.
    """
    config = config.model_copy(update={"epoch_ms": RECORDING_EPOCH_MS}).with_rates({"clogging_release": 0.0})
    made = simulate_sequences(
        config,
        [SequencePlace(strand, 0) for strand in range(len(SCRIPT))],
        duration_s=RECORDING_S,
        seed=seed,
        schedules=SCRIPT,
        domain=RECORDING_DOMAIN,
    )
    events = sorted((event for one in made for event in one.events), key=lambda event: event.onset_ms)
    return Recording(
        sensors=CASTING_SENSORS,
        period_ms=config.period_ms,
        strands=tuple(one.sequence.strand_id for one in made),
        event_time_ms=made[0].sequence.event_time_ms,
        values=np.stack([one.sequence.values for one in made]),
        strand_position_m=np.stack([one.sequence.strand_position_m for one in made]),
        heat_ids=tuple(one.sequence.heat_id for one in made),
        events=tuple(_recorded(event) for event in events),
        about=(
            f"Simulated by {config.version}, seed {seed}, random numbers of their own domain. Events are placed by a "
            "script, far denser than on a caster: a show, not a sample. After a breakout the line goes on as if "
            "restarted."
        ),
    )


def _recorded(event: Event) -> RecordedEvent:
    return RecordedEvent(
        strand_id=event.strand_id,
        type=event.type,
        target=event.target,
        onset_ms=event.onset_ms,
        detectable_ms=event.detectable_ms,
        impact_ms=event.impact_ms,
        end_ms=event.end_ms,
        ignore_until_ms=event.ignore_until_ms,
        healed=event.healed,
    )
