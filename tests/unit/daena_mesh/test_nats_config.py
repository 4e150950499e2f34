from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from daena_mesh.errors import NatsServerError
from daena_mesh.nats_config import Certificate, Membership, NatsConfig, Ports, client_url, read_ports

LISTED = '{"nats":["nats://127.0.0.1:4333"],"monitoring":["http://127.0.0.1:8333"]}'


def config(data_dir: str = "/data", port: int = 4222, host: str = "127.0.0.1") -> NatsConfig:
    path = Path(data_dir)
    return NatsConfig(data_dir=path, host=host, port=port, log_path=path / "nats-server.log")


def test_it_listens_on_loopback_and_syncs_always() -> None:
    text = config().render()
    assert 'host: "127.0.0.1"' in text
    assert "port: 4222" in text
    assert "sync_interval: always" in text
    assert 'store_dir: "/data"' in text


def test_port_0_lets_the_server_choose() -> None:
    assert "port: -1" in config(port=0).render()


def test_an_ipv6_address_is_bracketed_where_a_port_follows() -> None:
    text = config(host="::1").render()
    assert 'host: "::1"' in text
    assert 'http: "[::1]:-1"' in text


def test_quotes_and_backslashes_are_escaped() -> None:
    assert r'store_dir: "/a\"b\\c"' in config('/a"b\\c').render()


def test_a_member_of_a_cluster_shows_its_certificate_to_clients_and_peers() -> None:
    files = Certificate(certificate=Path("/c.pem"), key=Path("/k.pem"), authority=Path("/a.pem"))
    own = Membership(name="n1", cluster="c", route_port=6222, routes=["127.0.0.1:6222", "127.0.0.1:6223"])
    plain = replace(config(), membership=own).render()
    assert 'server_name: "n1"' in plain
    assert 'listen: "127.0.0.1:6222"' in plain
    assert 'routes: ["nats://127.0.0.1:6222", "nats://127.0.0.1:6223"]' in plain
    assert "ping_interval: 1s" in plain
    assert "tls" not in plain
    assert replace(config(), membership=replace(own, certificate=files)).render().count('cert_file: "/c.pem"') == 2


@pytest.mark.parametrize("character", ["\n", "\x00", "\x7f"])
def test_a_control_character_in_a_path_is_refused(character: str) -> None:
    with pytest.raises(NatsServerError, match="control character: choose another --data-dir"):
        config(f"/a{character}b").render()


def test_the_ports_file_names_the_process_and_its_ports(tmp_path: Path) -> None:
    (tmp_path / "nats-server_77.ports").write_text(LISTED)
    assert read_ports(tmp_path) == Ports(pid=77, port=4333, monitoring_port=8333)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nats-server_77.ports", LISTED[:20]),
        ("nats-server_77.ports", "{}"),
        ("nats-server_77.ports", '{"nats":[],"monitoring":[]}'),
        ("nats-server_77.ports", '{"nats":["nats://127.0.0.1"],"monitoring":[]}'),
        ("nats-server_77.ports", "[]"),
        ("nats-server.ports", LISTED),
        ("other.txt", LISTED),
    ],
)
def test_a_ports_file_that_is_not_finished_is_no_answer(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_ports(tmp_path) is None


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "nats://127.0.0.1:4222"),
        ("0.0.0.0", "nats://127.0.0.1:4222"),  # noqa: S104 - compared, not bound
        ("::", "nats://[::1]:4222"),
        ("::1", "nats://[::1]:4222"),
        ("localhost", "nats://localhost:4222"),
    ],
)
def test_clients_on_this_machine_get_an_address_that_they_can_reach(host: str, url: str) -> None:
    assert client_url(host, 4222) == url


def test_without_accounts_whoever_reaches_it_comes_in() -> None:
    assert "accounts" not in config().render()


def test_accounts_are_apart_and_each_has_streams() -> None:
    text = replace(config(), accounts={"a": 'p"w', "b": "x"}, is_durable=False).render()
    assert r'    "a" { jetstream: enabled, users: [{ user: "a", password: "p\"w" }] }' in text
    assert '    "b" {' in text
    assert "sync_interval" not in text
