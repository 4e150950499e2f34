from __future__ import annotations

import json

from daena_mesh.peers import Peers


def info(*urls: str) -> bytes:
    return json.dumps({"server_id": "x", "cluster": "c", "connect_urls": urls}).encode()


def told(peers: Peers, said: bytes) -> tuple[bool, bool]:
    """Whether they went away with this, and whether there are none."""
    return peers.are_gone(said), peers.has_none


def test_a_server_that_lost_all_of_its_peers_is_alone() -> None:
    peers = Peers()
    assert told(peers, info("a:1", "b:1", "c:1")) == (False, False)
    assert told(peers, info("a:1", "b:1")) == (False, False)
    assert told(peers, info("a:1")) == (True, True)


def test_that_they_went_is_told_once() -> None:
    peers = Peers()
    assert told(peers, info("a:1", "b:1")) == (False, False)
    assert told(peers, info("a:1")) == (True, True)
    assert told(peers, info("a:1")) == (False, True)
    assert told(peers, info("a:1", "b:1")) == (False, False)


def test_one_that_never_had_any_is_not_left() -> None:
    peers = Peers()
    assert told(peers, info("a:1")) == (False, True)
    assert told(peers, info()) == (False, True)


def test_one_that_is_of_no_cluster_needs_none() -> None:
    assert told(Peers(), b'{"server_id": "x"}') == (False, False)


def test_what_is_no_json_tells_nothing() -> None:
    peers = Peers()
    assert told(peers, info("a:1", "b:1")) == (False, False)
    assert told(peers, b"{") == (False, False)
