"""Whether the server at the other end still has peers: it tells by INFO with whom it makes a cluster.

A server that lost them all is cut off, or they are dead. Connections to it stay well, and nothing comes through them
any more; a leader of streams among such servers answers for some seconds longer. Specification: NATS client protocol,
INFO, https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class _Info(msgspec.Struct):
    cluster: str = ""
    connect_urls: Sequence[str] = ()


_decode = msgspec.json.Decoder(_Info).decode


class Peers:
    """What one connection was told of them."""

    def __init__(self) -> None:
        self._had_some = False
        self._is_clustered = False

    @property
    def has_none(self) -> bool:
        """The server is of a cluster, and tells of nobody but itself; or it may not tell (``no_advertise``)."""
        return self._is_clustered and not self._had_some

    def are_gone(self, info: bytes) -> bool:
        """Take in the JSON of an INFO, and tell whether all peers went away that there were on this connection."""
        try:
            told = _decode(info)
        except msgspec.DecodeError:
            return False
        has_some = len(told.connect_urls) > 1
        are_gone = self._had_some and not has_some
        self._had_some, self._is_clustered = has_some, bool(told.cluster)
        return are_gone
