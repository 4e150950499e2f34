from __future__ import annotations

import socket

import pytest

from daena_mesh.errors import ConfigurationError
from mesh_cli.listening import CannotServe, bind, for_child
from tests.support.deadlines import within


def test_port_0_takes_a_free_one() -> None:
    listener = bind("127.0.0.1", 0)
    with listener.socket:
        assert listener.port > 0
        assert listener.url == f"http://127.0.0.1:{listener.port}"


def test_a_taken_port_is_refused_and_names_the_flag() -> None:
    first = bind("127.0.0.1", 0)
    with (
        first.socket,
        pytest.raises(CannotServe, match=rf"port {first.port} on 127\.0\.0\.1 .*: choose another with --port"),
    ):
        bind("127.0.0.1", first.port)


def test_children_that_share_a_port_are_on_it_and_nobody_else_is() -> None:
    held = bind("127.0.0.1", 0, is_shared=True)
    with held.socket, for_child(held) as first, for_child(held) as second:
        for own in (first, second):
            assert own.getsockname() == held.socket.getsockname()
            own.listen()
        for is_shared in (False, True):
            with pytest.raises(CannotServe, match=rf"port {held.port} on 127\.0\.0\.1 is not free"):
                bind("127.0.0.1", held.port, is_shared=is_shared)
        first.close()
        with socket.create_connection(("127.0.0.1", held.port)):
            second.accept()[0].close()


def test_a_child_alone_inherits_the_very_socket_so_that_who_comes_waits() -> None:
    held = bind("127.0.0.1", 0)
    with held.socket, for_child(held) as first:
        first.close()
        with socket.create_connection(("127.0.0.1", held.port)), for_child(held) as second:
            second.accept()[0].close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104 - what is refused
def test_the_network_is_refused_without_authentication(host: str) -> None:
    with pytest.raises(CannotServe, match=r"nobody would have to authenticate: set MESH_TOKEN_KEY "):
        bind(host, 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - nobody is let in without a token
def test_the_network_is_served_where_tokens_are_asked_for(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_TOKEN_KEY", "k" * 32)
    listener = bind(host, 0)
    with listener.socket:
        assert not listener.is_on_loopback
        assert listener.port > 0


def test_a_key_that_is_no_key_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_TOKEN_KEY", "short")
    with pytest.raises(ConfigurationError, match="MESH_TOKEN_KEY: a key has 5 bytes and needs 32"):
        bind("0.0.0.0", 0)  # noqa: S104 - what is refused


def test_a_name_that_nobody_has_is_refused() -> None:
    with pytest.raises(CannotServe, match=r"--host 'no\.such\.host\.invalid' is no address of this machine"):
        bind("no.such.host.invalid", 0)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3"])
def test_loopback_is_served(host: str) -> None:
    listener = bind(host, 0)
    with listener.socket:
        assert listener.url.startswith(f"http://{host}:")


async def test_waiting_for_a_port_that_nobody_serves_goes_on() -> None:
    from mesh_cli.listening import until_ready

    listener = bind("127.0.0.1", 0)
    with listener.socket:
        listener.socket.shutdown(socket.SHUT_RDWR)
        with pytest.raises(TimeoutError):
            async with within(0.1):
                await until_ready(listener)
