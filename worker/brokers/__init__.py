"""Brokers a demo or a test may bring up: real Apache Kafka from packages alone, and librdkafka's in-process one.

Import what you need from its module; this package itself imports nothing, so that it may be imported without the
extra `broker`.
"""
