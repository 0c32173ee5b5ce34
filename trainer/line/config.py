"""The whole line in one configuration; the figures themselves stand in `trainer.line.figures`."""

from typing import Literal, Self

from trainer.line.figures.base import Happening, Section, Span, parameter
from trainer.line.figures.defects import (
    ClogRelease,
    Depression,
    InternalCrack,
    Segregation,
    ShellThinning,
    Sticker,
    TransverseCrack,
)
from trainer.line.figures.look_alikes import (
    FilmFracture,
    FilmPatch,
    LevelGlitch,
    LevelRetuning,
    LocalDips,
    PowderChange,
    SenChange,
    SpeedStep,
    ThermocoupleFault,
    UnsteadyBulging,
)
from trainer.line.figures.plant import (
    Cooling,
    Geometry,
    Heat,
    Instruments,
    Level,
    Oscillation,
    PlantRecords,
    Speed,
    Thermocouples,
    Tundish,
)

__all__ = ["LineConfig", "Section", "Span", "parameter"]


class LineConfig(Section):
    """The whole line. `version` names the set of figures and rules; a score is told with it.

    `line/v1` was frozen before any model was tuned on it: `tests/trainer/line/test_frozen.py` holds its bytes.
    """

    version: Literal["line/v1"] = "line/v1"
    epoch_ms: int = parameter(1_767_571_200_000, "ms", 0, 4e12, "2026-01-05 00:00 UTC, arbitrary")
    period_ms: int = parameter(500, "ms", 100, 10_000, "2 Hz scan")
    step_ms: int = parameter(100, "ms", 10, 100, "10 Hz inside: the oscillation must not alias")
    cutoff_hz: float = parameter(0.8, "Hz", 0.05, 4.0, "anti-alias Butterworth filter, below half the scan rate")
    filter_order: int = parameter(4, "1", 1, 10, "computed: 36 dB down at 2 Hz, the slowest oscillation")
    sequence_s: float = parameter(7200.0, "s", 120.0, 200_000.0, "assumed: two or three heats; real ones cast more")
    whole_from_s: float = parameter(2400.0, "s", 0.0, 200_000.0, "assumed: a shorter piece has no start and no end")
    pause_s: float = parameter(600.0, "s", 61.0, 100_000.0, "assumed: between two casting sequences")
    end_margin_s: float = parameter(420.0, "s", 0.0, 5000.0, "assumed: nothing is scheduled in a whole sequence's ends")
    cut_margin_s: float = parameter(150.0, "s", 0.0, 5000.0, "assumed: nor in the ends of a piece")
    spacing_s: float = parameter(45.0, "s", 0.0, 1000.0, "assumed: between two happenings of one lane")
    geometry: Geometry = Geometry()
    speed: Speed = Speed()
    tundish: Tundish = Tundish()
    level: Level = Level()
    heat: Heat = Heat()
    thermocouples: Thermocouples = Thermocouples()
    cooling: Cooling = Cooling()
    oscillation: Oscillation = Oscillation()
    instruments: Instruments = Instruments()
    records: PlantRecords = PlantRecords()
    sticker: Sticker = Sticker()
    depression: Depression = Depression()
    clogging_release: ClogRelease = ClogRelease()
    transverse_crack: TransverseCrack = TransverseCrack()
    shell_thinning: ShellThinning = ShellThinning()
    segregation: Segregation = Segregation()
    internal_crack: InternalCrack = InternalCrack()
    film_fracture: FilmFracture = FilmFracture()
    film_patch: FilmPatch = FilmPatch()
    local_dips: LocalDips = LocalDips()
    speed_step: SpeedStep = SpeedStep()
    sen_change: SenChange = SenChange()
    level_retuning: LevelRetuning = LevelRetuning()
    bulging: UnsteadyBulging = UnsteadyBulging()
    powder_change: PowderChange = PowderChange()
    tc_fault: ThermocoupleFault = ThermocoupleFault()
    level_glitch: LevelGlitch = LevelGlitch()

    def happenings(self) -> dict[str, Happening]:
        """Everything that has a rate, by its type."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Happening)}

    def with_rates(self, per_hour: dict[str, float]) -> Self:
        """The same line with other rates, events in a strand-hour by type.

        Raises:
            ValidationError: a rate out of its range.
        """
        sections = {name: getattr(self, name).model_dump() | {"per_hour": value} for name, value in per_hour.items()}
        return type(self).model_validate(self.model_dump() | sections)

    def at_natural_rates(self) -> Self:
        """The same line with everything as seldom as on a caster: for counting false alarms, not for training."""
        return self.with_rates({name: value.natural_per_hour for name, value in self.happenings().items()})
