"""How scans are read and outputs written, as the settings want it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from models.errors import UsageError
from models.messages import Alert, Prediction, SensorScan, decode_alert, decode_prediction, encode
from worker.settings import EncodingSettings, Settings
from worker.stages.decode import Decoder, FrameDecoder, ScanDecoder
from worker.stages.encode import Write

if TYPE_CHECKING:
    from worker.kafka.registry import Registry


class Formats(NamedTuple):
    """A way in and a way out."""

    decoder: Decoder
    write: Write


class OutputReaders(NamedTuple):
    """What reads the worker's outputs back."""

    prediction: Callable[[bytes], Prediction]
    alert: Callable[[bytes], Alert]


def registry_of(encoding: EncodingSettings) -> "Registry | None":
    """The registry that Avro takes; None without Avro.

    Raises:
        UsageError: the extra `avro` is not installed, or the address is none.
    """
    if encoding.schema_registry_url is None or "avro" not in (encoding.input, encoding.output):
        return None
    try:
        from worker.kafka.registry import Registry
    except ImportError as error:
        raise UsageError(f"expected the extra `avro` (pip install 'strandwatch[avro]'), got {error}") from None
    user, password = encoding.schema_registry_user, encoding.schema_registry_password
    login = (user, password.get_secret_value()) if user is not None and password is not None else None
    return Registry(encoding.schema_registry_url, login)


def formats(settings: Settings, sensors: Sequence[str]) -> Formats:
    """Those of the settings, for a model of these sensors; Avro's outputs are registered now.

    Raises:
        UsageError: as `registry_of`.
        DeliveryError: the registry does not answer.
    """
    encoding = settings.encoding
    decoder: Decoder = FrameDecoder(sensors) if encoding.input == "packed" else ScanDecoder(sensors)
    registry = registry_of(encoding)
    if registry is None:
        return Formats(decoder, encode)
    from models.avro import AvroReader, AvroWriter

    if encoding.input == "avro":
        decoder = ScanDecoder(sensors, AvroReader(SensorScan, registry.schema).read)
    if encoding.output == "json":
        return Formats(decoder, encode)
    predictions = AvroWriter(Prediction, registry.number(settings.topics.predictions, Prediction))
    alerts = AvroWriter(Alert, registry.number(settings.topics.alerts, Alert))

    def write(message: Prediction | Alert) -> bytes:
        return predictions.write(message) if isinstance(message, Prediction) else alerts.write(message)

    return Formats(decoder, write)


def output_readers(settings: Settings) -> OutputReaders:
    """Those of the settings.

    Raises:
        UsageError: as `registry_of`.
    """
    registry = registry_of(settings.encoding) if settings.encoding.output == "avro" else None
    if registry is None:
        return OutputReaders(decode_prediction, decode_alert)
    from models.avro import AvroReader

    return OutputReaders(AvroReader(Prediction, registry.schema).read, AvroReader(Alert, registry.schema).read)
