"""`worker doctor`: everything `worker run` needs, looked at once and told plainly."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from models.errors import StrandwatchError
from models.runtime import why_no_cuda
from worker.app import load_predictor
from worker.formats import registry_of
from worker.kafka.broker import Broker, KafkaException
from worker.settings import Settings

_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; a failure hides nothing that could still be looked at."""
    return [*_kafka(settings), *_registry(settings), *_model(settings)]


def _kafka(settings: Settings) -> list[Finding]:
    broker = Broker(settings.kafka)
    address = settings.kafka.bootstrap_servers
    try:
        present = broker.topics(_ANSWER_S)
    except KafkaException as error:
        return [Finding("broker", False, f"expected an answer from {address}, got {error.args[0].str()}")]
    findings = [Finding("broker", True, f"{address} answers, {len(present)} topics")]
    topics = settings.topics
    uses = [(topics.sensors, "READ"), (topics.worker_state, "READ")] + [
        (name, "WRITE") for name in (topics.predictions, topics.alerts, topics.dead_letters, topics.worker_state)
    ]
    for name, operation in uses:
        if name not in present:
            findings.append(Finding(f"topic {name}", False, "expected it, got no such topic; create it"))
            continue
        allowed = broker.allows(name, operation)
        words = {
            True: f"{operation} allowed",
            False: f"expected permission to {operation}, got none",
            None: "no word on permissions",
        }
        findings.append(Finding(f"topic {name}", allowed is not False, f"{present[name]} partitions, {words[allowed]}"))
    return findings


def _registry(settings: Settings) -> list[Finding]:
    def look() -> str:
        registry = registry_of(settings.encoding)
        return "not asked for" if registry is None else f"answers, {registry.subjects()} subjects"

    return [_looked("registry", look)] if settings.encoding.schema_registry_url else []


def _model(settings: Settings) -> list[Finding]:
    def look() -> str:
        predictor = load_predictor(settings)
        manifest = predictor.manifest
        return (
            f"{manifest.model} ({manifest.model_sha256}), {len(manifest.sensors)} sensors, "
            f"{len(manifest.targets)} targets, golden windows right; execution provider in use: {predictor.provider}"
        )

    cuda = why_no_cuda()
    return [_looked("model", look), Finding("gpu", True, "a CUDA device is there" if cuda is None else f"none: {cuda}")]


def _looked(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except StrandwatchError as error:
        return Finding(what, False, str(error))
