"""The door to Kafka: settings to librdkafka's configuration, source, sink, offsets.

Nothing beyond this folder (and `worker.brokers`) imports confluent_kafka. Another way of delivering needs
another sink here and nothing elsewhere.
"""
