"""Defects of minutes: transverse and internal cracks, a thinning shell, segregation."""

import numpy as np

from trainer.line.happenings import QUALITY, Channel, Happening, Profile, Scene, plateau
from trainer.line.schedule import Scheduled
from trainer.line.signals import draw

_FLUXES = ("mould_heat_flux_broad_loose_mw_m2", "mould_heat_flux_broad_fixed_mw_m2")
_SURFACE = "strand_surface_temp_c"


def transverse_crack(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """A zone sprays too much; the steel comes cold to the straightener minutes later, with deep oscillation marks."""
    figures = scene.config.transverse_crack
    channel, flow, distance_m = _zone(scene, rng)
    ends_s = event.onset_s + draw(rng, figures.lasts_s)
    transport_s = distance_m / scene.speed_m_s
    share, slower_hz = draw(rng, figures.flow_share), draw(rng, figures.slow_hz)
    impact = ends_s + transport_s
    return Happening(
        type="transverse_crack",
        target=QUALITY,
        onset_s=event.onset_s,
        detectable_s=min(event.onset_s + figures.ramp_s + transport_s, impact),
        end_s=impact,
        ignore_until_s=impact + figures.ignore_s,
        sensors=(flow, _SURFACE, "oscillation_frequency_hz"),
        impact_s=impact,
        difficulty="summary",
        profiles=(
            plateau(channel, event.onset_s, ends_s, share, figures.ramp_s),
            plateau("frequency_hz", event.onset_s, impact, -slower_hz, figures.ramp_s),
        ),
    )


def internal_crack(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """A zone sprays too little for minutes."""
    figures = scene.config.internal_crack
    channel, flow, distance_m = _zone(scene, rng)
    ends_s = event.onset_s + draw(rng, figures.lasts_s)
    fall = draw(rng, figures.flow_fall_share)
    return Happening(
        type="internal_crack",
        target=QUALITY,
        onset_s=event.onset_s,
        detectable_s=event.onset_s + figures.detectable_s,
        end_s=ends_s,
        ignore_until_s=ends_s + distance_m / scene.speed_m_s + figures.ignore_s,
        sensors=(flow, _SURFACE),
        impact_s=ends_s,
        difficulty="summary",
        profiles=(plateau(channel, event.onset_s, ends_s, -fall, figures.ramp_s),),
    )


def shell_thinning(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """The mould takes less and less heat, while the strand runs fast and the steel is hot."""
    figures = scene.config.shell_thinning
    fall, fall_s = draw(rng, figures.flux_fall_share), draw(rng, figures.fall_s)
    impact = event.onset_s + fall_s
    return Happening(
        type="shell_thinning",
        target=QUALITY,
        onset_s=event.onset_s,
        detectable_s=event.onset_s + fall_s * min(figures.detectable_share / fall, 1.0),
        end_s=impact,
        ignore_until_s=impact + figures.back_s + figures.ignore_s,
        sensors=(*_FLUXES, *scene.array.names, "mould_water_delta_t_k", "casting_speed_m_min", "tundish_temp_c"),
        impact_s=impact,
        difficulty="summary",
        profiles=(
            Profile("flux_share", ((event.onset_s, 0.0), (impact, -fall), (impact + figures.back_s, 0.0))),
            plateau("speed_m_min", event.onset_s, impact, draw(rng, figures.faster_m_min), 30.0),
            plateau("temperature_k", event.onset_s, impact, draw(rng, figures.hotter_k), 60.0),
        ),
    )


def segregation(scene: Scene, event: Scheduled, rng: np.random.Generator) -> Happening:
    """Superheat above 35 K for ten minutes."""
    figures = scene.config.segregation
    rise_k = max(draw(rng, figures.superheat_k) - scene.superheat_k, 1.0)
    ends_s = event.onset_s + figures.ramp_s + draw(rng, figures.lasts_s)
    above = min(max((35.0 - scene.superheat_k) / rise_k, 0.0), 1.0)
    return Happening(
        type="segregation",
        target=QUALITY,
        onset_s=event.onset_s,
        detectable_s=event.onset_s + figures.ramp_s * above,
        end_s=ends_s,
        ignore_until_s=ends_s + figures.ramp_s + figures.ignore_s,
        sensors=("tundish_temp_c",),
        impact_s=ends_s,
        difficulty="summary",
        profiles=(plateau("temperature_k", event.onset_s, ends_s, rise_k, figures.ramp_s),),
    )


def _zone(scene: Scene, rng: np.random.Generator) -> tuple[Channel, str, float]:
    """One of the two zones: its channel, its sensor, its distance to the pyrometer."""
    geometry = scene.config.geometry
    if rng.random() < 0.5:
        return "zone2_share", "sec_cool_zone2_flow_l_min", geometry.zone2_to_pyrometer_m
    return "zone5_share", "sec_cool_zone5_flow_l_min", geometry.zone5_to_pyrometer_m
