import socket
from pathlib import Path

import pytest

from worker.brokers.node_settings import HOST, Ports, free_ports, is_free, server_properties, write_properties

NODES = {1: Ports(15001, 15002), 2: Ports(15003, 15004), 3: Ports(15005, 15006)}


def test_free_ports_are_distinct_and_can_be_listened_on() -> None:
    ports = free_ports(12)
    assert len(set(ports)) == 12
    assert all(is_free(port) for port in ports)


@pytest.mark.skipif(not Path("/proc/sys/net/ipv4/ip_local_port_range").exists(), reason="Linux tells its range there")
def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 16_000:
        pytest.skip(f"this system takes outgoing ports from {lowest}")
    assert max(free_ports(50)) < lowest


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_one_broker_keeps_one_copy_and_three_keep_three() -> None:
    alone = server_properties(1, {1: NODES[1]}, Path("/data"), {})
    of_three = server_properties(2, NODES, Path("/data"), {})
    for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        assert (alone[f"{topic}.replication.factor"], of_three[f"{topic}.replication.factor"]) == ("1", "3")
    assert (alone["min.insync.replicas"], of_three["min.insync.replicas"]) == ("1", "2")
    assert of_three["controller.quorum.voters"] == "1@127.0.0.1:15002,2@127.0.0.1:15004,3@127.0.0.1:15006"
    assert of_three["advertised.listeners"] == "PLAINTEXT://127.0.0.1:15003"


def test_properties_of_the_caller_win_and_backslashes_survive_the_format(tmp_path: Path) -> None:
    properties = server_properties(1, NODES, Path("/data"), {"message.max.bytes": "11000000", "log.dirs": r"C:\data"})
    write_properties(tmp_path / "p", properties)
    lines = (tmp_path / "p").read_text().splitlines()
    assert "message.max.bytes=11000000" in lines
    assert r"log.dirs=C:\\data" in lines
