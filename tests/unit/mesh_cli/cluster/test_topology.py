from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from daena_mesh.nats_config import Certificate
from mesh_cli.cluster.topology import Topology, on_loopback, usual_nats_ports


def topology() -> Topology:
    return on_loopback(Path("/data"), ports=[8001, 8002, 8003, 8004, 8005], nats_ports=usual_nats_ports(4222))


def test_the_ports_are_those_that_nats_people_know() -> None:
    ports = [(node.name, node.port, node.route_port, node.monitoring_port) for node in topology().nodes]
    assert ports == [("n1", 4222, 6222, 8222), ("n2", 4223, 6223, 8223), ("n3", 4224, 6224, 8224)]


def test_two_apis_and_three_edges() -> None:
    assert topology().services == ["api-1", "api-2", "edge-1", "edge-2", "edge-3"]


def test_each_of_a_kind_looks_at_another_node_first() -> None:
    first = [topology().of_service(f"edge-{n}")["MESH_NATS_URL"].split(",")[0] for n in (1, 2, 3)]
    assert sorted(first) == sorted(topology().nats_urls)


def test_who_belongs_to_it_is_told_of_the_authority() -> None:
    assert "MESH_NATS_CA" not in topology().settings
    pem = Certificate(certificate=Path("/c"), key=Path("/k"), authority=Path("/ca.pem"))
    encrypted = replace(topology(), certificate=pem)
    assert encrypted.settings["MESH_NATS_CA"] == "/ca.pem"
    assert all(url.startswith("tls://") for url in encrypted.nats_urls)


def test_settings_reach_every_service() -> None:
    changed = topology().with_variables(MESH_REPLICAS="1")
    assert changed.settings["MESH_REPLICAS"] == "1"
    assert changed.of_service("api-2")["MESH_REPLICAS"] == "1"


def test_a_node_knows_all_routes_and_its_own_name() -> None:
    own = topology().membership(topology().nodes[1])
    assert own.name == "n2"
    assert own.routes == ["127.0.0.1:6222", "127.0.0.1:6223", "127.0.0.1:6224"]
