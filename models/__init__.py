"""The contract that trainer and worker share: sensors, windows, alerts, messages, bundles.

Nothing in this package imports `worker`, `trainer`, torch or confluent_kafka.
"""
