"""A nats-server with JetStream, as far as an edge talks to it: the bytes of its protocol, under the test's control.

What it is asked waits in `asked` until the test has it answered, from the leader or from a replica that is stale; the
answer waits in `answers` until the test has it arrive. Live messages wait in `unsent`, by stream, until the test has
them sent, lost, delayed or repeated. `tests/model/test_server.py` holds its answers against the real server's.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from daena_mesh.layout import Layout
from daena_mesh.subjects import covers
from tests.model.clock import VirtualLoop
from tests.model.pipe import Pipe
from tests.model.streams import Entry, Stream, moment

_HEADERS = b"NATS/1.0 %b\r\n\r\n"
_NO_MESSAGE = {"error": {"code": 404, "err_code": 10037, "description": "no message found"}}
_NO_LEADER = {"error": {"code": 503, "err_code": 10008, "description": "JetStream system temporarily unavailable"}}


@dataclass
class Asked:
    """A request that waits."""

    pipe: Pipe
    subject: str
    reply: str
    headers: bytes
    body: bytes

    @property
    def is_direct(self) -> bool:
        """Whether any replica may answer."""
        return self.subject.startswith("$JS.API.DIRECT.")


@dataclass
class Answer:
    """Messages on their way to who asked; a batch has several."""

    pipe: Pipe
    parts: list[bytes]


class Server:
    """The server and its streams."""

    def __init__(self, loop: VirtualLoop, streams: dict[str, Stream], *, most_in_batch: int = 1_000) -> None:
        self.loop = loop
        self.streams = streams
        self.is_up = True
        self.is_deaf = False
        """What clients send waits: also subscriptions, and the pings of a flush."""
        self.in_cluster = False
        self.unled: set[str] = set()
        """Streams without a leader: nothing is stored in them, and what the leader is asked is heard by nobody."""
        self.asked: list[Asked] = []
        self.heard: list[str] = []
        """Where was published to, for the message of a failure."""
        self.answers: list[Answer] = []
        self.unsent: dict[str, deque[Entry]] = {name: deque() for name in streams}
        self.delayed: deque[Entry] = deque()
        self.sent: list[Entry] = []
        self.on_stored: Callable[[Entry], None] = lambda _entry: None
        self._layout = Layout()
        self._most_in_batch = most_in_batch
        self._pipe: Pipe | None = None
        self._subs: dict[str, str] = {}
        self._uplink: deque[tuple[Pipe, bytes]] = deque()
        self._rest = b""
        loop.connect = self.accept

    @property
    def is_unread(self) -> bool:
        """Whether something waits that the edge does not read for now."""
        return self._pipe is not None and self._pipe.is_unread

    # -- connections --------------------------------------------------------------------------------------------

    def accept(self, factory: Callable[[], asyncio.BaseProtocol]) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Take a connection."""
        if not self.is_up:
            raise ConnectionRefusedError("the server is down")
        protocol = cast("asyncio.Protocol", factory())
        self._pipe = pipe = Pipe(self, protocol)
        self._subs, self._rest, self._uplink = {}, b"", deque()
        protocol.connection_made(pipe)
        info = {"server_id": "M", "version": "2.15.1", "headers": True, "max_payload": 1_048_576, "jetstream": True}
        if self.in_cluster:
            info["cluster"] = "model"
        pipe.feed(b"INFO " + json.dumps(info).encode() + b" \r\n")
        return pipe, protocol

    def cut(self) -> None:
        """Break the connection off; it may come again at once."""
        if self._pipe is not None:
            self._pipe.lose(ConnectionResetError("cut"))

    def forget(self, pipe: Pipe) -> None:
        """It is closed: nobody is told anything through it."""
        if pipe is self._pipe:
            self._pipe, self._subs = None, {}
        self.asked = [asked for asked in self.asked if asked.pipe is not pipe]
        self.answers = [answer for answer in self.answers if answer.pipe is not pipe]

    def receive(self, pipe: Pipe, data: bytes) -> None:
        """Take what a client sends."""
        self._uplink.append((pipe, data))
        if not self.is_deaf:
            self.hear()

    def hear(self) -> None:
        """Read what clients have sent."""
        while self._uplink:
            pipe, data = self._uplink.popleft()
            if pipe is self._pipe:
                self._rest += data
                while self._rest and self._command(pipe):
                    pass

    def _command(self, pipe: Pipe) -> bool:
        line, found, rest = self._rest.partition(b"\r\n")
        if not found:
            return False
        verb, *args = line.decode().split(" ")
        if verb in {"PUB", "HPUB"}:
            size = int(args[-1])
            if len(rest) < size + 2:
                return False
            head = int(args[-2]) if verb == "HPUB" else 0
            reply = args[1] if len(args) == (3 if verb == "PUB" else 4) else ""
            self._rest = rest[size + 2 :]
            self._published(Asked(pipe, args[0], reply, rest[:head], rest[head:size]))
            return True
        self._rest = rest
        if verb == "PING":
            pipe.feed(b"PONG\r\n")
        elif verb == "SUB":
            self._subs[args[-1]] = args[0]
        elif verb == "UNSUB":
            self._subs.pop(args[0], None)
        else:
            assert verb in {"CONNECT", "PONG"}, verb
        return True

    # -- live messages ------------------------------------------------------------------------------------------

    def stored(self, entry: Entry) -> None:
        """Republish it when the test says so."""
        self.unsent[entry.stream].append(entry)
        self.on_stored(entry)

    def send(self, stream: str, count: int) -> None:
        """Republish the next ``count`` of a stream, which arrive in one piece."""
        waiting = self.unsent[stream]
        self._send([waiting.popleft() for _ in range(min(count, len(waiting)))])

    def lose(self, stream: str) -> None:
        """Lose the next live message of a stream."""
        if self.unsent[stream]:
            self.unsent[stream].popleft().disturbed = True

    def delay(self, stream: str) -> None:
        """Let the next live message of a stream come later than those behind it."""
        if self.unsent[stream]:
            entry = self.unsent[stream].popleft()
            entry.disturbed = True
            self.delayed.append(entry)

    def send_delayed(self) -> None:
        """Let the first of those that were delayed come now."""
        if self.delayed:
            self._send([self.delayed.popleft()])

    def repeat(self, back: int) -> None:
        """Let one that was sent before come again."""
        if back < len(self.sent):
            self._send([self.sent[-1 - back]])

    def _send(self, entries: list[Entry]) -> None:
        data, pipe = b"", self._pipe
        for entry in entries:
            subject = "live." + entry.subject
            matching = [sid for sid, pattern in self._subs.items() if covers(pattern, subject)]
            if not matching or pipe is None:
                entry.disturbed = True
            headers = entry.live_headers()
            for sid in matching:
                data += _message(subject, sid, headers, entry.body)
            self.sent.append(entry)
        if pipe is not None and data:
            pipe.feed(data, tuple(entries))

    # -- questions ----------------------------------------------------------------------------------------------

    def answer(self, at: int, *, behind: int = 0) -> None:
        """Answer one of those that ask, from a replica that lacks the newest ``behind``, where one may answer."""
        if at >= len(self.asked):
            return
        asked = self.asked.pop(at)
        if asked.is_direct or self._stream_of(asked) not in self.unled:
            self.answers.append(Answer(asked.pipe, self._parts(asked, behind)))

    def refuse(self, at: int) -> None:
        """Say that there is no leader."""
        if at < len(self.asked):
            asked = self.asked.pop(at)
            self.answers.append(
                Answer(asked.pipe, [self._status(asked, b"503") if asked.is_direct else self._json(asked, _NO_LEADER)])
            )

    def ignore(self, at: int) -> None:
        """Never answer one of those that ask."""
        if at < len(self.asked):
            del self.asked[at]

    def arrive(self, at: int, parts: int | None = None) -> None:
        """Let an answer arrive, or the first ``parts`` of it."""
        if at >= len(self.answers):
            return
        answer = self.answers[at]
        count = len(answer.parts) if parts is None else parts
        answer.pipe.feed(b"".join(answer.parts[:count]))
        del answer.parts[:count]
        if not answer.parts:
            del self.answers[at]

    def lose_part(self, at: int) -> None:
        """Lose a message of an answer; its last one ends it and is kept."""
        if at < len(self.answers) and len(self.answers[at].parts) > 1:
            del self.answers[at].parts[len(self.answers[at].parts) // 2 - 1]

    def answer_all(self) -> None:
        """Answer all from the leader, and let all answers arrive."""
        while self.asked:
            self.answer(0)
        while self.answers:
            self.arrive(0)

    def _published(self, asked: Asked) -> None:
        self.heard.append(f"{asked.subject} {asked.body[:80]!r}")
        if asked.reply:
            self.asked.append(asked)
        elif self._stream_of(asked) not in self.unled:
            self._store(asked)

    def _stream_of(self, asked: Asked) -> str:
        is_question = asked.subject.startswith("$JS.API.")
        return asked.subject.rpartition(".")[2] if is_question else self._layout.stream_of(asked.subject)

    def _parts(self, asked: Asked, behind: int) -> list[bytes]:
        api, _, name = asked.subject.rpartition(".")
        request = json.loads(asked.body) if api.startswith("$JS.API.") else {}
        if api == "$JS.API.STREAM.INFO":
            return [self._json(asked, self._info(self.streams[name]))]
        if api == "$JS.API.STREAM.MSG.GET":
            return [self._json(asked, self._get(self.streams[name], request))]
        if api == "$JS.API.DIRECT.GET":
            return self._direct(asked, self.streams[name], request, behind)
        assert not asked.subject.startswith("$"), asked.subject
        return [self._json(asked, self._store(asked))]

    def _info(self, stream: Stream) -> dict[str, Any]:
        stream.keep_limits(self.loop.now)
        state = {"first_seq": stream.first_seq, "last_seq": stream.last_seq, "bytes": stream.size}
        return {"state": state, "config": {"max_age": int(stream.max_age_s * 1e9), "max_bytes": stream.max_bytes}}

    def _get(self, stream: Stream, request: dict[str, Any]) -> dict[str, Any]:
        stream.keep_limits(self.loop.now)
        if "seq" in request:
            found = stream.entries.get(request["seq"])
        else:
            pattern = request["last_by_subj"]
            found = next((e for e in reversed(stream.entries.values()) if covers(pattern, e.subject)), None)
        return _NO_MESSAGE if found is None else {"message": found.as_json()}

    def _direct(self, asked: Asked, stream: Stream, request: dict[str, Any], behind: int) -> list[bytes]:
        stream.keep_limits(self.loop.now)
        known = [e for e in stream.entries.values() if e.seq <= stream.last_seq - behind]
        if "start_time" in request:
            start = datetime.fromisoformat(request["start_time"])
            known = [e for e in known if moment(e.at) >= start]
        if "multi_last" in request:
            newest = {e.subject: e for e in known if any(covers(p, e.subject) for p in request["multi_last"])}
            known = sorted((e for e in newest.values() if e.seq >= request["seq"]), key=lambda e: e.seq)
            most = len(known)
            if not newest:
                return [self._status(asked, b"404 No Results")]
        else:
            known = [e for e in known if e.seq >= request.get("seq", 0) and covers(request["next_by_subj"], e.subject)]
            most = min(self._most_in_batch, request["batch"])
            if not known:
                return [self._status(asked, b"404 Message Not Found")]
        parts, before = [], 0
        for i, entry in enumerate(known[:most]):
            headers = entry.direct_headers(len(known) - i - 1, before)
            parts.append(self._reply(asked, headers, entry.body))
            before = entry.seq
        end = b"204 EOB\r\nNats-Num-Pending: %d\r\nNats-Last-Sequence: %d" % (len(known) - len(parts), before)
        if "multi_last" in request:
            end += b"\r\nNats-UpTo-Sequence: %d" % (stream.last_seq - behind)
        return [*parts, self._status(asked, end)]

    def _store(self, asked: Asked) -> dict[str, Any]:
        lines = asked.headers.split(b"\r\n")[1:-2]
        fields = dict(line.split(b": ", 1) for line in lines)
        stream = self.streams[self._layout.stream_of(asked.subject)]
        msg_id = fields.get(b"Nats-Msg-Id", b"")
        if seq := stream.duplicate(msg_id):
            return {"stream": stream.name, "seq": seq, "duplicate": True}
        headers = b"".join(line + b"\r\n" for line in lines)
        kind = "notice" if asked.subject.endswith(".notice") else "event"
        entry = stream.append(
            asked.subject, asked.body, self.loop.now, kind=cast("Any", kind), headers=headers, msg_id=msg_id
        )
        self.stored(entry)
        return {"stream": stream.name, "seq": entry.seq}

    def _json(self, asked: Asked, value: dict[str, Any]) -> bytes:
        return self._reply(asked, b"", json.dumps(value).encode())

    def _status(self, asked: Asked, status: bytes) -> bytes:
        return self._reply(asked, _HEADERS % status, b"")

    def _reply(self, asked: Asked, headers: bytes, body: bytes) -> bytes:
        for sid, pattern in self._subs.items():
            if covers(pattern, asked.reply):
                return _message(asked.reply, sid, headers, body)
        return b""


def _message(subject: str, sid: str, headers: bytes, body: bytes) -> bytes:
    if not headers:
        return b"MSG %b %b %d\r\n%b\r\n" % (subject.encode(), sid.encode(), len(body), body)
    size = len(headers)
    return b"HMSG %b %b %d %d\r\n%b%b\r\n" % (subject.encode(), sid.encode(), size, size + len(body), headers, body)
