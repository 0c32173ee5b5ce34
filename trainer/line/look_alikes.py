"""What operators, controllers and instruments do that is no defect."""

import numpy as np

from trainer.line.happenings import Fault, Happening, Profile, Scene, plateau
from trainer.line.schedule import SETTLED_S, Scheduled
from trainer.line.signals import draw

_LEVEL, _STOPPER, _SPEED = "mould_level_mm", "stopper_position_pct", "casting_speed_m_min"
_FLUXES = ("mould_heat_flux_broad_loose_mw_m2", "mould_heat_flux_broad_fixed_mw_m2")


def speed_step(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """The operator changes the speed, within the normal range; all thermocouples follow together."""
    figures, speed = scene.config.speed_step, scene.config.speed
    size = draw(rng, figures.step_m_min) * _sign(rng)
    if not speed.low_m_min <= scene.speed_m_min + size <= speed.high_m_min:
        size = -size
    ramp_s = draw(rng, figures.ramp_s)
    profile = Profile("speed_m_min", ((event.onset_s, 0.0), (event.onset_s + ramp_s, size)))
    sensors = (_SPEED, *_FLUXES, *scene.array.names)
    return _harmless(event, event.onset_s + ramp_s + figures.settle_s, "sticker", sensors, profile)


def sen_change(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """The nozzle is exchanged: the level jumps twice, argon steps, the speed dips meanwhile."""
    figures, begins = scene.config.sen_change, event.onset_s
    jump_mm = draw(rng, figures.level_mm) * _sign(rng)
    ends = begins + draw(rng, figures.dip_s)
    argon = draw(rng, figures.argon_nl_min) * _sign(rng)
    profiles = (
        _jump(begins, jump_mm),
        _jump(ends, -0.7 * jump_mm),
        Profile("argon_nl_min", ((begins, 0.0), (begins + 2, argon))),
        plateau("speed_m_min", begins, ends, -draw(rng, figures.dip_m_min), 10.0),
    )
    sensors = (_LEVEL, _STOPPER, "sen_argon_flow_nl_min", _SPEED, *_FLUXES, *scene.array.names)
    return _harmless(event, ends + SETTLED_S, "clogging_release", sensors, *profiles)


def level_retuning(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """Sharper parameters of the level controller for some minutes."""
    figures = scene.config.level_retuning
    ends = event.onset_s + draw(rng, figures.lasts_s)
    sharper = (
        plateau("loop_proportional", event.onset_s, ends, draw(rng, figures.proportional) - 1, 1.0),
        plateau("loop_integral", event.onset_s, ends, draw(rng, figures.integral) - 1, 1.0),
    )
    return _harmless(event, ends, "clogging_release", (_LEVEL, _STOPPER), *sharper)


def bulging(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """The level swings at the pace of the rolls."""
    figures = scene.config.bulging
    ends = event.onset_s + draw(rng, figures.lasts_s)
    profile = plateau("bulging_mm", event.onset_s, ends, draw(rng, figures.amplitude_mm), figures.ramp_s)
    return _harmless(event, ends + figures.ramp_s, "clogging_release", (_LEVEL, _STOPPER), profile)


def powder_change(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """All fluxes move to another level within minutes, and later back."""
    figures = scene.config.powder_change
    share, ramp_s = draw(rng, figures.flux_share) * _sign(rng), draw(rng, figures.ramp_s)
    ends = event.onset_s + ramp_s + draw(rng, figures.lasts_s)
    profile = plateau("flux_share", event.onset_s, ends, share, ramp_s)
    sensors = (*_FLUXES, *scene.array.names, "mould_water_delta_t_k")
    return _harmless(event, ends + ramp_s, "shell_thinning", sensors, profile)


def level_glitch(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """The level sensor jumps at once; the controller then moves the real level the other way."""
    figures = scene.config.level_glitch
    jump_mm, ends = draw(rng, figures.jump_mm) * _sign(rng), event.onset_s + draw(rng, figures.lasts_s)
    profile = plateau("level_sensor_mm", event.onset_s, ends, jump_mm, scene.config.step_ms / 1000)
    return _harmless(event, ends + SETTLED_S, "clogging_release", (_LEVEL, _STOPPER), profile)


def tc_fault(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """One thermocouple is stuck at 0 or 300 °C, drifts, or loses contact now and then."""
    figures = scene.config.tc_fault
    index, begins = int(rng.integers(scene.array.count)), event.onset_s
    ends = begins + draw(rng, figures.lasts_s)
    kind = rng.integers(3)
    if kind == 0:
        fault = Fault(index, begins, ends, stuck_c=0.0 if rng.random() < 0.5 else 300.0)
    elif kind == 1:
        fault = Fault(index, begins, ends, drift_k=draw(rng, figures.drift_k) * _sign(rng))
    else:
        losses, at = [], begins
        while at < ends:
            lost_s = draw(rng, figures.loss_s)
            losses.append((at, min(at + lost_s, ends)))
            at += lost_s + draw(rng, figures.loss_s)
        fault = Fault(index, begins, ends, losses_s=tuple(losses), loss_share=draw(rng, figures.loss_share))
    return _harmless(event, ends, "sticker", (scene.array.names[index],), fault=fault)


def _harmless(
    event: Scheduled,
    end_s: float,
    imitates: str,
    sensors: tuple[str, ...],
    *profiles: Profile,
    fault: Fault | None = None,
) -> Happening:
    return Happening(
        type=event.type,
        target=None,
        onset_s=event.onset_s,
        detectable_s=event.onset_s,
        end_s=end_s,
        ignore_until_s=end_s,
        sensors=sensors,
        look_alike_of=imitates,
        profiles=profiles,
        fault=fault,
    )


def _jump(at_s: float, size_mm: float) -> Profile:
    """A push that would move an uncontrolled level by so much within 1.2 s."""
    push = size_mm / 0.8
    return Profile("level_push_mm_s", ((at_s, 0.0), (at_s + 0.4, push), (at_s + 0.8, push), (at_s + 1.2, 0.0)))


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1
