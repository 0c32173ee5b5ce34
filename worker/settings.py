"""Every setting of the worker, from four sources; the first that speaks wins.

Environment (`STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS`), the TOML file of `--config`, secret files in
`secrets_dir` (a file a setting, named like `kafka__sasl_password`), the defaults below.

A name that is no setting is an error in every source: a misspelt setting that is silently ignored is found
only after the accident.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from models.errors import UsageError, mismatch

PREFIX = "STRANDWATCH_"
DELIMITER = "__"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Section):
    """How to reach the broker, and who this worker is to it."""

    bootstrap_servers: str = Field(min_length=1)
    group_id: str = "strandwatch"
    slot: int = Field(0, ge=0, description="one per worker; names its static member")
    group_instance_id: str | None = Field(None, description="<group_id>-<slot>")
    transactional_id: str | None = Field(None, description="<group_id>-<slot>")
    group_protocol: Literal["classic", "consumer"] = "classic"
    session_timeout_ms: int = Field(10_000, ge=1000)
    startup_timeout_s: float = Field(60.0, gt=0)
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: str | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: Path | None = None
    ssl_certificate_location: Path | None = None
    ssl_key_location: Path | None = None
    ssl_key_password: SecretStr | None = None
    extra: dict[str, str] = Field(default_factory=dict, description="further librdkafka keys")

    @property
    def member(self) -> str:
        """The static member's name, `<group_id>-<slot>` by default."""
        return self.group_instance_id or f"{self.group_id}-{self.slot}"

    @property
    def heartbeat_ms(self) -> int:
        """How often a member asks whether the group changes; so long it may take to notice."""
        return max(300, min(1000, self.session_timeout_ms // 10))

    @property
    def producer(self) -> str:
        """The transactional id, `<group_id>-<slot>` by default: stable, so that a restart ends what it left open."""
        return self.transactional_id or f"{self.group_id}-{self.slot}"


class TopicSettings(_Section):
    """The names of the topics."""

    sensors: str = "casting.sensors"
    predictions: str = "casting.predictions"
    alerts: str = "casting.alerts"
    dead_letters: str = "casting.dead-letters"
    worker_state: str = "casting.worker-state"


class EncodingSettings(_Section):
    """How messages are written."""

    input: Literal["json", "packed", "avro"] = "json"
    output: Literal["json", "avro"] = "json"
    schema_registry_url: str | None = Field(None, description="Avro's, as http://127.0.0.1:8081")
    schema_registry_user: str | None = None
    schema_registry_password: SecretStr | None = None

    @model_validator(mode="after")
    def _has_registry(self) -> Self:
        if "avro" in (self.input, self.output) and not self.schema_registry_url:
            raise ValueError("expected schema_registry_url to be set with avro, got none")
        if "@" in (self.schema_registry_url or ""):  # it is told in logs and errors
            raise ValueError("expected schema_registry_url without a name, got one: set schema_registry_user instead")
        if (self.schema_registry_user is None) != (self.schema_registry_password is None):
            raise ValueError("expected schema_registry_user and schema_registry_password together, got one of them")
        return self


class ModelSettings(_Section):
    """Which model, and where it runs."""

    bundle: str = "current"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    require_gpu: bool = False
    threads: int | None = Field(None, ge=1, description="one a processor")


class BatchSettings(_Section):
    """How long and how many scans wait for company."""

    max_windows: int | None = Field(None, ge=1, le=1024, description="16; on CUDA 256")
    deadline_ms: int = Field(0, ge=0, le=1000, description="how long a scan waits for others; 0 runs at once")


class HttpSettings(_Section):
    """Where `/metrics`, `/livez` and `/readyz` are served."""

    host: str = "127.0.0.1"
    port: int = Field(9464, ge=0, le=65535)


class LogSettings(_Section):
    """What is logged, and how: `auto` is text on a terminal and JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class Settings(BaseSettings):
    """The worker's settings; see the module's docstring for their sources."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid", frozen=True, secrets_dir_missing="error"
    )

    kafka: KafkaSettings
    topics: TopicSettings = TopicSettings()
    start_from: Literal["latest", "earliest", "refuse"] = "latest"
    encoding: EncodingSettings = EncodingSettings()
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    commit_interval_ms: int = Field(100, ge=1, le=60_000)
    model: ModelSettings = ModelSettings()
    batch: BatchSettings = BatchSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    secrets_dir: Annotated[Path | None, Field(description="a folder of secret files")] = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then what `load` passes in (the TOML file), then secret files."""
        del dotenv_settings, settings_cls
        return env_settings, init_settings, NestedSecretsSettingsSource(file_secret_settings, secrets_prefix="")


def load(config: Path | None = None) -> Settings:
    """Read the settings.

    Args:
        config: a TOML file, or none.

    Raises:
        UsageError: a name that is no setting, a value that does not fit, a file that cannot be read.
    """
    from_file = _read_toml(config) if config else {}
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            _check_name(name.upper().removeprefix(PREFIX).lower().split(DELIMITER), name)
    for path in _paths(from_file):
        _check_name(path, f"{'.'.join(path)} in {config}")
    in_environment = {name.upper(): value for name, value in os.environ.items()}
    secrets = in_environment.get(f"{PREFIX}SECRETS_DIR") or from_file.get("secrets_dir")
    if secrets and Path(secrets).is_dir():
        for file in Path(secrets).iterdir():
            if not file.name.startswith("."):
                _check_name(file.name.lower().split(DELIMITER), str(file))
    try:
        return Settings(_secrets_dir=secrets, **from_file)
    except ValidationError as error:
        raise UsageError("; ".join(_explain(dict(problem)) for problem in error.errors(include_url=False))) from None
    except SettingsError as error:
        raise UsageError(f"expected settings that can be read, got {error}") from None


def masked(settings: Settings) -> dict[str, Any]:
    """The effective settings as plain data; secrets show as stars, those among the `extra` keys too."""
    plain = settings.model_dump(mode="json")
    extra: dict[str, str] = plain["kafka"]["extra"]
    for key in extra:
        if "password" in key or "secret" in key or key.endswith("key"):
            extra[key] = "**********"
    return plain


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(mismatch("a TOML file", error.strerror, str(path))) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(mismatch("TOML", str(error), str(path))) from None


def _paths(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[list[str]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and (*above, key) != ("kafka", "extra"):
            yield from _paths(value, (*above, key))
        else:
            yield [*above, key]


def _check_name(path: list[str], shown: str) -> None:
    fields: Mapping[str, Any] = Settings.model_fields
    for depth, part in enumerate(path):
        if part not in fields:
            near = difflib.get_close_matches(part, fields, n=1, cutoff=0.5)
            hint = f"; did you mean `{'.'.join([*path[:depth], near[0]])}`?" if near else ""
            raise UsageError(f"expected the name of a setting, got `{shown}`{hint} (see `worker config --names`)")
        annotation = fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            free = path[: depth + 1] == ["kafka", "extra"]
            if depth + 1 < len(path) and not free:
                raise UsageError(f"expected the name of a setting, got `{shown}`: `{part}` holds nothing further")
            return
        fields = annotation.model_fields


def unset(section: str, name: str = "") -> str:
    """What it means that a setting has no value of its own."""
    field = Settings.model_fields[section]
    if name and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
        field = field.annotation.model_fields[name]
    return f"not set: {field.description}" if field.description else "not set"


def names() -> Iterator[tuple[str, str]]:
    """Every setting as (environment variable, default)."""
    for section, outer in Settings.model_fields.items():
        annotation = outer.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, inner in annotation.model_fields.items():
                shown = "required" if inner.is_required() else inner.get_default(call_default_factory=True)
                yield (
                    f"{PREFIX}{section}{DELIMITER}{name}".upper(),
                    unset(section, name) if shown is None else str(shown),
                )
        else:
            shown = outer.get_default()
            yield f"{PREFIX}{section}".upper(), unset(section) if shown is None else str(shown)


def _explain(problem: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    variable = PREFIX + DELIMITER.join(str(part) for part in problem["loc"]).upper()
    if problem["type"] == "missing":
        if place == "kafka":
            place, variable = "kafka.bootstrap_servers", f"{PREFIX}KAFKA__BOOTSTRAP_SERVERS"
        return f"expected a value, got none at {place}; set {variable}, e.g. 127.0.0.1:9092"
    if problem["type"] == "value_error":  # a rule of ours over several settings
        return f"{problem['ctx']['error']} at {place} ({variable}{DELIMITER}…)"
    got = "a secret" if "password" in place else repr(problem["input"])
    return f"{problem['msg'][:1].lower()}{problem['msg'][1:]}, got {got} at {place} ({variable})"
