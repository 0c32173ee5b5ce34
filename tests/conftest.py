"""What every test may use; the fixtures for a real Kafka come from tests/support/kafka_broker.py."""

pytest_plugins = ["support.kafka_broker"]
