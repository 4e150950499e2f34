"""Messages that are being written, read from the log: of which there are pieces, and no message yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from daena_mesh import replay
from daena_mesh.assembly import Assembly
from daena_mesh.feed import event_of
from daena_mesh.layout import RECORDS, SIGNALS
from daena_mesh.mesh import Mesh
from daena_mesh.stored import Stored, kind_of
from daena_mesh.subjects import Subject
from mesh_api.text_streams import TextStream, TextStreams

_ALL = ("chat.*.delta", "chat.*.delta.*")
_PAGE = 50
_CLOCKS_DIFFER_S = 60.0
"""How far the clocks of the servers that stored pieces and message may be apart."""


class Unfinished:
    """What one API knows of them, and looks up."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._streams = TextStreams()
        # A server that crashed may count anew from where its last signals were lost, so what was read tells nothing.
        mesh.log.on_change(self._begin_anew)

    def __iter__(self) -> Iterator[TextStream]:
        """Those that the last `scan` left; the messages of some may be stored."""
        return iter(self._streams)

    def forget(self, stream: TextStream) -> None:
        """Its message is stored."""
        self._streams.forget(stream)

    async def scan(self) -> None:
        """Read the pieces that came since the last time; raises `MeshUnavailable`."""
        await self._read(_ALL, self._streams)

    async def of(self, session_id: str, ended: Collection[str] = ()) -> list[TextStream]:
        """Those of a session at this moment, but for the messages ``ended``; raises `MeshUnavailable`."""
        streams = self._streams.only(session_id)
        await self._read(_patterns("delta", session_id), streams)
        found = [stream for stream in streams if stream.message_id not in ended]
        return [stream for stream in found if not await self.is_ended(stream)]

    async def is_ended(self, stream: TextStream) -> bool:
        """Whether its message is stored; raises `MeshUnavailable`."""
        log, before = self._mesh.log, None
        while True:
            page = await replay.newest(log, RECORDS, _patterns("message", stream.session_id), _PAGE, before=before)
            if any(self._payload(message).get("message_id") == stream.message_id for message in page):
                return True
            if len(page) < _PAGE or _seconds(page[0].time) < stream.begun_s - _CLOCKS_DIFFER_S:
                return False
            before = page[0].seq

    async def text_of(self, stream: TextStream) -> str:
        """What was written of it, as far as it is kept; raises `MeshUnavailable`."""
        assembly = Assembly()
        after = stream.first_seq - 1
        async for message in self._messages(_patterns("delta", stream.session_id), after, stream.last_seq):
            payload = self._payload(message)
            index, text = payload.get("index"), payload.get("text")
            if payload.get("message_id") == stream.message_id and isinstance(index, int) and isinstance(text, str):
                assembly.take(str(payload.get("run", "")), index, text)
        return assembly.text

    # -- the log ------------------------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        self._streams = TextStreams()

    async def _read(self, patterns: Sequence[str], streams: TextStreams) -> None:
        head = await self._mesh.log.head(SIGNALS, patterns)
        async for message in self._messages(patterns, streams.read_to, head):
            streams.read_to = message.seq
            if (kind := kind_of(message.subject)) is not None:  # anybody may publish to NATS
                subject = Subject.parse(kind.subject)
                payload = self._payload(message)
                streams.take(subject.id, message.seq, _seconds(message.time), payload, subject.author)

    async def _messages(self, patterns: Sequence[str], after: int, reach: int) -> AsyncIterator[Stored]:
        while after < reach:
            chunk = await replay.read(self._mesh.log, {SIGNALS: patterns}, {SIGNALS: after}, reach={SIGNALS: reach})
            for message in chunk.messages:
                yield message
            after = chunk.positions[SIGNALS]
            if chunk.ended:
                return

    def _payload(self, message: Stored) -> dict[str, Any]:
        event = event_of(message, "", self._mesh.settings.max_body_bytes)
        return event.payload if event is not None else {}


def _patterns(verb: str, session_id: str) -> tuple[str, str]:
    return f"chat.{session_id}.{verb}", f"chat.{session_id}.{verb}.*"


def _seconds(time: bytes) -> float:
    """An RFC 3339 time of UTC, in seconds since 1970."""
    return datetime.fromisoformat(f"{time[:19].decode()}+00:00").timestamp()
