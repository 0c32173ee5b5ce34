"""What a plant does to a clean line on its way to Kafka: wrong values, and scans that come late, twice or never.

`figures` says how much of each kind; `values` soils what a scan holds and `arrival` when and how it comes. Both
`trainer stream --dirt` (`stream`) and datasets (`dataset.soiled`) take their scans from `arrival.soil`.
"""
