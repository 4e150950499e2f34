"""Which messages are being written, as their pieces tell. Pure; `mesh_api.unfinished` reads these from the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec


class TextStream(msgspec.Struct, frozen=True):
    """A message of which there are pieces."""

    session_id: str
    message_id: str
    sender: str
    run: str
    first_seq: int
    """Where the run begins that counts: all of the text comes from here on."""
    last_seq: int
    """Where its newest piece is, of whatever run."""
    begun_s: float
    """When the first piece that is kept was stored, in seconds since 1970."""
    in_reply_to: str | None = None
    author: str | None = None
    """Whose credentials the run was published with, as its subject tells."""

    @property
    def key(self) -> str:
        """Names it among all that there are."""
        return f"{self.session_id} {self.message_id}"


class TextStreams:
    """The messages of which there are pieces, of some sessions or of all."""

    def __init__(self) -> None:
        self.read_to = 0
        """The sequence up to which pieces were taken."""
        self._by_session: dict[str, dict[str, TextStream]] = {}

    def __iter__(self) -> Iterator[TextStream]:
        return iter([stream for streams in self._by_session.values() for stream in streams.values()])

    def only(self, session_id: str) -> TextStreams:
        """What is known of one session, to go on with by itself."""
        only = TextStreams()
        only.read_to = self.read_to
        if streams := self._by_session.get(session_id):
            only._by_session[session_id] = dict(streams)
        return only

    def forget(self, stream: TextStream) -> None:
        """Its message is stored."""
        if streams := self._by_session.get(stream.session_id):
            streams.pop(stream.message_id, None)
            if not streams:
                del self._by_session[stream.session_id]

    def take(
        self, session_id: str, seq: int, stored_s: float, payload: dict[str, Any], author: str | None = None
    ) -> None:
        """Take a piece in; what names no message is passed over."""
        message_id = payload.get("message_id")
        if not isinstance(message_id, str) or not message_id:
            return
        run, sender, in_reply_to = (_text(payload.get(key)) for key in ("run", "sender", "in_reply_to"))
        streams = self._by_session.setdefault(session_id, {})
        known = streams.get(message_id)
        if known is None:
            known = TextStream(session_id, message_id, sender, run, seq, seq, stored_s, author=author)
        elif known.run != run and payload.get("index") == 0:
            known = msgspec.structs.replace(known, run=run, sender=sender, first_seq=seq, author=author)
        streams[message_id] = msgspec.structs.replace(known, last_seq=seq, in_reply_to=in_reply_to or known.in_reply_to)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
