"""The simulated caster, `line/v0`: one continuous slab strand and its twenty sensors.

Rooms in the order of the steel: `schedule` (what will happen when), `speed`, `tundish` (heats, weight,
temperature), `level` (stopper, argon), `heat` (flux, water), `thermocouples` and `patterns` (what stickers and
slag films do to them), `cooling` (zones, pyrometer), `friction` (with the oscillation), `instruments`
(anti-aliasing, noise, resolution, missing values), wired in `simulator`. Every figure stands in `config`.
"""
