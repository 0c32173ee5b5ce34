"""Every figure of the simulated line, with its unit, its allowed range and where it comes from.

`base` says how a figure is written down, `plant` holds the caster in normal operation, `defects` what harms the
steel, `look_alikes` what only looks so. `trainer.line.config.LineConfig` is all of it.

Sources: a number in brackets is a publication listed below; `weak` is vendor or training material; `computed`
follows from the other figures; `assumed` has no source and waits for a caster engineer. A pair is a range from which
each strand, sequence or event draws its own value.

    [1]  Liu et al., Ironmaking & Steelmaking 2022, 10.1080/03019233.2022.2154952: 61 sticker breakouts
    [6]  10.1007/s42243-021-00729-5: slab casting speeds
    [7]  steellearning, continuous casting: superheat
    [13] 10.1007/s11663-023-02925-y: meniscus heat flux at the oscillation frequency
    [14] 10.1007/s00170-019-04849-x: what sticker detection misses
    [18] Thomas 2003, On-line Detection of Quality Problems: dips that travel with the strand
    [22] a review of crack formation: surface temperature at the straightener
    [26] Metals 15(9) 978: clogging and the argon's back pressure
"""
