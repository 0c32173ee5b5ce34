"""The jars of Apache Kafka: fetched from Maven Central once, held to pinned checksums at every start.

`kafka-4.4.0.coordinates.txt` beside this file names every artifact as ``group:artifact:version sha256``. Each is
fetched by its own name: a resolver left to itself picks other versions (kafka-clients 3.9.1 for kafka_2.13:4.4.0).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from worker.brokers.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

KAFKA_VERSION = "4.4.0"

_DOWNLOADS_AT_ONCE = 8
_ATTEMPTS = 3
_REQUEST_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Jar:
    """One artifact.

    Attributes:
        coordinate: ``group:artifact:version``.
        sha256: of the jar file, in hexadecimal.
    """

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the file in the cache; unique among the pinned jars."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def pinned_jars() -> tuple[Jar, ...]:
    """Return the jars that make up Apache Kafka `KAFKA_VERSION`, in the order of the class path."""
    text = resources.files("worker.brokers").joinpath(f"kafka-{KAFKA_VERSION}.coordinates.txt").read_text("utf-8")
    return tuple(Jar(*line.split()) for line in text.splitlines() if line.strip())


def cache_directory() -> Path:
    """Return where the jars are kept: ``$XDG_CACHE_HOME`` or ``~/.cache``, then ``strandwatch/kafka-<version>``."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the XDG specification: a relative path is ignored
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    return base / "strandwatch" / f"kafka-{KAFKA_VERSION}"


def missing_jars(directory: Path, jars: Sequence[Jar]) -> list[Jar]:
    """Return the jars that `directory` does not hold with the right checksum.

    Every byte is hashed, at every start: 42 MB take about 0.1 s against seconds for java, and no marker file can go
    stale.
    """
    return [jar for jar in jars if _sha256(directory / jar.file_name) != jar.sha256]


def kafka_jars(
    directory: Path | None = None,
    *,
    jars: Sequence[Jar] | None = None,
    repositories: Mapping[str, str] | None = None,
) -> list[Path]:
    """Return the verified jars, fetching those that are missing or damaged.

    All downloads are verified before the first is put in place, and each is put in place by an atomic rename: two
    processes may do this at the same time, and one that is interrupted leaves nothing half written.

    Args:
        directory: the cache; default `cache_directory`.
        jars: default `pinned_jars`.
        repositories: Maven repositories, name to address; default Maven Central, with what the section
            ``[repositories]`` of jgo's own settings adds or replaces (a company's mirror).

    Raises:
        BrokerError: the extra `broker` is not installed, a jar cannot be fetched, or one has the wrong checksum.
    """
    directory = directory or cache_directory()
    jars = pinned_jars() if jars is None else jars
    missing = missing_jars(directory, jars)
    if missing:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            # In the same file system, so that a rename is atomic.
            with tempfile.TemporaryDirectory(prefix=".download-", dir=directory) as scratch:
                for jar, path in zip(missing, _download(missing, Path(scratch), repositories), strict=True):
                    path.replace(directory / jar.file_name)
        except OSError as error:
            raise BrokerError(
                f"expected a directory that can be written, got: {error} at {directory}: set XDG_CACHE_HOME to another"
            ) from error
    return [directory / jar.file_name for jar in jars]


def require_extra(*modules: str) -> None:
    """Raise when a module of the extra `broker` cannot be imported.

    Raises:
        BrokerError: naming the first one absent.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise BrokerError(
                f"expected the extra `broker` (pip install 'strandwatch[broker]'), got no module `{module}`: "
                "a real Kafka is started from it"
            )


def _download(jars: Sequence[Jar], scratch: Path, repositories: Mapping[str, str] | None) -> list[Path]:
    require_extra("jgo")
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    remote = repositories or {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    maven = MavenContext(repo_cache=scratch, local_repos=[], remote_repos=dict(remote), timeout=_REQUEST_TIMEOUT_S)

    def fetch(jar: Jar) -> Path:
        group, name, version = jar.coordinate.split(":")
        artifact = maven.project(group, name).at_version(version).artifact()
        failure: Exception | None = None
        for _ in range(_ATTEMPTS):
            try:
                return _verified(jar, Path(artifact.resolve()))
            except (OSError, RuntimeError) as error:  # requests' errors are OSErrors; jgo's "not found" a RuntimeError
                failure = error
                if artifact.cached_path is not None:
                    artifact.cached_path.unlink(missing_ok=True)  # part of a file would be taken for the whole
        raise BrokerError(
            f"expected {jar.coordinate} from {', '.join(remote.values())}, got: {failure}: check the network, "
            "or name a mirror under [repositories] in jgo's settings (~/.config/jgo.conf)"
        ) from failure

    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        downloads = [pool.submit(fetch, jar) for jar in jars]
        try:
            return [download.result() for download in downloads]
        except BrokerError:
            pool.shutdown(cancel_futures=True)
            raise


def _verified(jar: Jar, path: Path) -> Path:
    got = _sha256(path)
    if got != jar.sha256:
        raise BrokerError(
            f"expected sha256 {jar.sha256}, got {got} at {jar.coordinate}: the repository does not serve the pinned "
            "file, so nothing of this download was kept; check the mirror or proxy in between, and try again"
        )
    return path


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None
