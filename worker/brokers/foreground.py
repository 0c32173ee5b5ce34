"""``python -m worker.brokers.apache_kafka``: a real Kafka with the casting line's topics, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from models.errors import StrandwatchError
from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.jars import KAFKA_VERSION, cache_directory, missing_jars, pinned_jars
from worker.brokers.node_settings import is_free
from worker.brokers.topics import CASTING_STATE_TOPIC, CASTING_TOPICS, create_casting_topics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

DEFAULT_PORT = 9092
DEFAULT_PARTITIONS = 8

_CHECK_S = 1.0


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run until SIGINT or SIGTERM, then leave with exit code 0; 1 when the broker fails, 2 on wrong usage."""
    options = _parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    try:
        _serve(options)
    except StrandwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _serve(options: argparse.Namespace) -> NoReturn:
    missing = len(missing_jars(cache_directory(), pinned_jars()))
    if missing:
        print(
            f"Fetching {missing} jars of Apache Kafka {KAFKA_VERSION}, once, into {cache_directory()} ...", flush=True
        )
    port = options.port or (DEFAULT_PORT if is_free(DEFAULT_PORT) else None)
    with ApacheKafka(options.brokers, log_dir=options.log_dir, port=port) as kafka:
        servers = kafka.bootstrap_servers
        create_casting_topics(servers, options.partitions, replication_factor=min(3, options.brokers))
        print(
            f"Apache Kafka {KAFKA_VERSION} is ready at {servers} with {options.partitions} partitions each of "
            f"{', '.join((*CASTING_TOPICS, CASTING_STATE_TOPIC))}.\n"
            f"Use it from another terminal: STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS={servers} worker run\n"
            f"Ctrl-C ends it and {'keeps' if options.log_dir else 'removes'} its data.",
            flush=True,
        )
        never = threading.Event()
        while True:  # a signal or an error ends it
            never.wait(_CHECK_S)
            kafka.raise_if_ended()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    # Unwinds the `with` block wherever it is; a second signal must not cut that short.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m worker.brokers.apache_kafka",
        description=f"A real Apache Kafka {KAFKA_VERSION} on this machine, without Docker, until Ctrl-C.",
        epilog="example: python -m worker.brokers.apache_kafka --port 9092 --partitions 8",
    )
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1, help="how many brokers (default 1)")
    parser.add_argument("--port", type=_port, help=f"of the first broker (default {DEFAULT_PORT}, or a free one)")
    parser.add_argument(
        "--partitions", type=_count, default=DEFAULT_PARTITIONS, help=f"of each topic (default {DEFAULT_PARTITIONS})"
    )
    parser.add_argument("--log-dir", type=Path, help="keep the data here (default: temporary)")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, got {text}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text}")
    return int(text)
