"""The rooms a scan passes, in this order: decode, windows, batch, inference, alerts, encode.

A stage knows its input and output types (`worker.records`) and the contract (`models`); nothing of Kafka,
metrics, the clock or its neighbours. `worker.pipeline` leads from one to the next.
"""
