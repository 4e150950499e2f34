from __future__ import annotations

import json

from daena_mesh.peers import Peers


def info(*urls: str) -> bytes:
    return json.dumps({"server_id": "x", "cluster": "c", "connect_urls": urls}).encode()


def test_a_server_that_lost_all_of_its_peers_is_alone() -> None:
    peers = Peers()
    assert not peers.are_gone(info("a:1", "b:1", "c:1"))
    assert not peers.are_gone(info("a:1", "b:1"))
    assert not peers.has_none
    assert peers.are_gone(info("a:1"))
    assert peers.has_none


def test_it_is_told_once() -> None:
    peers = Peers()
    assert not peers.are_gone(info("a:1", "b:1"))
    assert peers.are_gone(info("a:1"))
    assert not peers.are_gone(info("a:1"))


def test_one_that_never_had_any_is_not_left() -> None:
    peers = Peers()
    assert not peers.are_gone(b'{"server_id": "x"}')
    assert not peers.has_none  # it is of no cluster
    assert not peers.are_gone(info("a:1"))
    assert peers.has_none
    assert not peers.are_gone(info())
    assert peers.has_none


def test_what_is_no_json_tells_nothing() -> None:
    peers = Peers()
    assert not peers.are_gone(info("a:1", "b:1"))
    assert not peers.are_gone(b"{")
    assert not peers.has_none
