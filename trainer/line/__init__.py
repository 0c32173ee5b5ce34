"""The simulated caster, `line/v1`: one continuous slab strand and its twenty sensors.

What happens: `schedule` says what comes when; `tears`, `dips`, `slow_defects` and `look_alikes` draw each `Happening`
with its truth and what it adds to the rooms (`happenings`, `kernels`). Rooms in the order of the steel: `speed`,
`tundish` (heats, weight, temperature), `clogging` and `level` (nozzle, stopper, argon; `level_loop` runs the
controller), `heat` (flux, water), `thermocouples` in their `mould_array`, `cooling` (zones, pyrometer), `friction`
(with the oscillation), `instruments` (anti-aliasing, noise, resolution, missing values). `plant_records` tells the
truth in event time and what a plant would have written down. `simulator` wires them; every figure stands in `figures`.
"""
