"""Sequence models against baselines on the same windows and the same alerts: what temporal modelling adds."""
