"""How scans are read and outputs written, as the settings want it."""

from collections.abc import Sequence
from typing import NamedTuple

from models.errors import UsageError
from models.messages import Alert, Prediction, SensorScan, encode
from worker.settings import Settings
from worker.stages.decode import Decoder, FrameDecoder, ScanDecoder
from worker.stages.encode import Write


class Formats(NamedTuple):
    """A way in and a way out."""

    decoder: Decoder
    write: Write


def formats(settings: Settings, sensors: Sequence[str]) -> Formats:
    """Those of the settings, for a model of these sensors; Avro's outputs are registered now.

    Raises:
        UsageError: the extra `avro` is not installed.
        DeliveryError: the registry does not answer.
    """
    encoding = settings.encoding
    decoder: Decoder = FrameDecoder(sensors) if encoding.input == "packed" else ScanDecoder(sensors)
    if encoding.schema_registry_url is None or "avro" not in (encoding.input, encoding.output):
        return Formats(decoder, encode)
    try:
        from models.avro import AvroReader, AvroWriter
        from worker.kafka.registry import Registry
    except ImportError as error:
        raise UsageError(f"expected the extra `avro` (pip install 'strandwatch[avro]'), got {error}") from None
    registry = Registry(encoding.schema_registry_url)
    if encoding.input == "avro":
        decoder = ScanDecoder(sensors, AvroReader(SensorScan, registry.schema).read)
    if encoding.output == "json":
        return Formats(decoder, encode)
    predictions = AvroWriter(Prediction, registry.number(settings.topics.predictions, Prediction))
    alerts = AvroWriter(Alert, registry.number(settings.topics.alerts, Alert))

    def write(message: Prediction | Alert) -> bytes:
        return predictions.write(message) if isinstance(message, Prediction) else alerts.write(message)

    return Formats(decoder, write)
