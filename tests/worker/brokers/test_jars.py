import gc
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from worker.brokers.errors import BrokerError
from worker.brokers.jars import Jar, cache_directory, kafka_jars, missing_jars, pinned_jars, require_extra

pytest.importorskip("jgo", reason="needs the extra `broker`")

CONTENTS = {"org.example:one:1.0": b"the first jar", "org.example.sub:two:2.1": b"the second jar"}
JARS = [Jar(coordinate, hashlib.sha256(content).hexdigest()) for coordinate, content in CONTENTS.items()]


def repository_path(root: Path, coordinate: str) -> Path:
    group, artifact, version = coordinate.split(":")
    return root / group.replace(".", "/") / artifact / version / f"{artifact}-{version}.jar"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Not into the test's output."""


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A folder that a Maven repository on loopback serves."""
    root = tmp_path / "repository"
    for coordinate, content in CONTENTS.items():
        path = repository_path(root, coordinate)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    return root


@pytest.fixture
def repositories(served: Path) -> Iterator[dict[str, str]]:
    handler = partial(QuietHandler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield {"loopback": f"http://127.0.0.1:{server.server_address[1]}"}
        server.shutdown()
        thread.join()


def test_jars_are_fetched_once_and_later_starts_need_no_repository(
    tmp_path: Path, served: Path, repositories: dict[str, str]
) -> None:
    cache = tmp_path / "cache"
    paths = kafka_jars(cache, jars=JARS, repositories=repositories)
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    assert sorted(cache.iterdir()) == sorted(paths)  # nothing else is left behind
    assert kafka_jars(cache, jars=JARS, repositories={"gone": "http://127.0.0.1:1"}) == paths


def test_a_damaged_jar_is_noticed_and_fetched_again(tmp_path: Path, repositories: dict[str, str]) -> None:
    cache = tmp_path / "cache"
    first, second = kafka_jars(cache, jars=JARS, repositories=repositories)
    first.write_bytes(b"the first jbr")  # the same size
    assert missing_jars(cache, JARS) == [JARS[0]]
    untouched = second.stat().st_mtime_ns
    kafka_jars(cache, jars=JARS, repositories=repositories)
    assert first.read_bytes() == CONTENTS[JARS[0].coordinate]
    assert second.stat().st_mtime_ns == untouched


def test_a_wrong_checksum_is_an_error_that_names_the_jar_and_leaves_no_cache(
    tmp_path: Path, served: Path, repositories: dict[str, str]
) -> None:
    repository_path(served, JARS[1].coordinate).write_bytes(b"something else")
    got = hashlib.sha256(b"something else").hexdigest()
    message = f"expected sha256 {JARS[1].sha256}, got {got} at {JARS[1].coordinate}: "
    with pytest.raises(BrokerError, match=re.escape(message)):
        kafka_jars(tmp_path / "cache", jars=JARS, repositories=repositories)
    assert list((tmp_path / "cache").rglob("*")) == []


# jgo does not close the answer "not found"; it must be collected here, not in the midst of another test.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_jar_the_repository_lacks_is_an_error_that_names_both(
    tmp_path: Path, served: Path, repositories: dict[str, str]
) -> None:
    def fetch() -> None:
        with pytest.raises(BrokerError, match=rf"expected {JARS[0].coordinate} from {repositories['loopback']}, got"):
            kafka_jars(tmp_path / "cache", jars=JARS, repositories=repositories)

    repository_path(served, JARS[0].coordinate).unlink()
    fetch()
    gc.collect()


def test_an_unreachable_repository_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="check the network, or name a mirror"):
        kafka_jars(tmp_path / "cache", jars=JARS, repositories={"gone": "http://127.0.0.1:1"})


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path, repositories: dict[str, str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BrokerError, match="expected a directory that can be written"):
        kafka_jars(tmp_path / "file" / "cache", jars=JARS, repositories=repositories)


def test_two_processes_may_fetch_at_the_same_time(tmp_path: Path, repositories: dict[str, str]) -> None:
    cache = tmp_path / "cache"
    fetch = partial(kafka_jars, cache, jars=JARS, repositories=repositories)
    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing_jars(cache, JARS) == []


def test_kafka_is_pinned_by_45_names_and_checksums_with_a_file_each() -> None:
    jars = pinned_jars()
    assert len({jar.file_name for jar in jars}) == len(jars) == 45
    assert all(re.fullmatch("[0-9a-f]{64}", jar.sha256) for jar in jars)
    assert "org.apache.kafka:kafka-clients:4.4.0" in {jar.coordinate for jar in jars}


def test_the_cache_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "strandwatch" / "kafka-4.4.0"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == Path.home() / ".cache" / "strandwatch" / "kafka-4.4.0"


def test_without_the_extra_the_error_names_it() -> None:
    with pytest.raises(BrokerError, match=re.escape("the extra `broker` (pip install 'strandwatch[broker]')")):
        require_extra("json", "no_such_module")
