"""What is fuzzed: the places where bytes of strangers come in, and what must hold there for any of them.

A check raises where it does not hold. Errors that the place is meant to raise, such as `InvalidCursor`, are part of
what must hold.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

from websockets.frames import Close, Frame, Opcode

from daena_mesh import asks as asked
from daena_mesh.answers import answer_id
from daena_mesh.asks import read_ask
from daena_mesh.codec import Poison
from daena_mesh.cursors import Positions
from daena_mesh.errors import InvalidCursor, InvalidEvent, InvalidId, InvalidQuery, InvalidSubject
from daena_mesh.events import ChatMessage
from daena_mesh.stored import Stored, read_live
from daena_mesh.subjects import Subject, check_id, check_pattern, covers, matches, overlaps, safe_id
from mesh_api.prefer import MOST_WAIT_S, wait_of
from mesh_edge.auth import read_auth
from mesh_edge.client_messages import Budget, answer
from mesh_edge.envelope import event_text
from mesh_edge.follow import MOST_HISTORY, follow_of
from mesh_edge.frames import text_frame
from mesh_edge.sending import Refused, read_send
from mesh_edge.topic_name import topic_of
from tests.fuzz import handshakes, tokens
from tests.fuzz.campaign import Check
from tests.support.second_opinion import disagreement, ours

VECTORS = Path(__file__).parents[1] / "vectors" / "frames.json"
LIMIT_BYTES = 300
BODY_BYTES = 65_536
MOST_WORDS = 8
"""Subjects, patterns and ids in one input: more of them are only more of the same."""


class Target(NamedTuple):
    """A place where bytes come in.

    Args:
        check: raises where these bytes break what must hold.
        seeds: inputs to begin with.
    """

    check: Check
    seeds: Sequence[bytes]


def frames(data: bytes) -> None:
    """The parser says what another one says, and the same however the stream is cut."""
    assert (told := disagreement(data, LIMIT_BYTES)) is None, told
    random = Random(crc32(data))
    cuts = [0, *sorted(random.randint(0, len(data)) for _ in range(random.randint(1, 6))), len(data)]
    whole = ours([data], LIMIT_BYTES)
    cut = ours([data[begin:end] for begin, end in pairwise(cuts)], LIMIT_BYTES)
    assert (cut.messages, str(cut.violation)) == (whole.messages, str(whole.violation)), cuts
    assert (cut.pending is None) == (whole.pending is None), cuts


def talk(data: bytes) -> None:
    """Whatever a client says, the answer is nothing or one frame of JSON."""
    text = data.decode(errors="ignore")
    assert isinstance(read_auth(text), str)
    frame, ends = answer(text, Budget())
    assert ends is None
    if frame:
        said = json_of(frame)
        if said["event_type"] == "pong":
            assert said["timestamp"] == strict_json(text).get("timestamp")
        else:
            assert said["event_type"] == "error"
            assert said["payload"]["message"]


def sends(data: bytes) -> None:
    """A `send` is read, or refused in a sentence."""
    try:
        message = read_send(data.decode(errors="ignore"))
    except Refused as refusal:
        check_sentence(refusal)
        return
    assert isinstance(message.payload, dict)
    assert message.id is None or 0 < len(message.id) <= 128


def wishes(data: bytes) -> None:
    """A wish to follow a topic is refused in a short sentence, or leads to subjects that NATS takes."""
    connection_id, *query = data.decode(errors="replace").split("\n", 3)
    try:
        wish = follow_of(connection_id, dict(zip(("since", "history", "types"), query, strict=False)))
    except (InvalidId, InvalidCursor, InvalidSubject, InvalidQuery) as refusal:
        check_sentence(refusal)
        return
    assert 0 <= wish.history <= MOST_HISTORY
    assert wish.name.name == connection_id
    wide = topic_of(connection_id).patterns
    for pattern in wish.name.patterns:
        assert check_pattern(pattern) == pattern
        assert any(covers(whole, pattern) for whole in wide), pattern


def positions(data: bytes) -> None:
    """`since` is refused in a short sentence, or means what it says when it is written again."""
    text = data.decode(errors="replace")
    try:
        read = Positions.parse(text)
    except InvalidCursor as refusal:
        check_sentence(refusal)
        return
    assert dict(Positions.parse(str(read))) == dict(read)
    assert set(str(read).split(".")) <= set(text.split("."))


def subjects(data: bytes) -> None:
    """What passes can be put on the wire of NATS as it is, and everything has a safe id."""
    text = data.decode(errors="replace")
    words = text.split(" ")[:MOST_WORDS]
    ident = safe_id(text)
    assert check_id(ident) == safe_id(ident) == ident
    for word in words:
        try:
            assert str(Subject.parse(word)) == word
            assert check_pattern(word) == word
            assert matches(word, word)
        except (InvalidSubject, InvalidId) as refusal:
            check_sentence(refusal)
        try:
            name = topic_of(word)
            assert [check_pattern(pattern) for pattern in name.patterns] == list(name.patterns)
        except InvalidId as refusal:
            check_sentence(refusal)
    patterns = [word for word in words if is_pattern(word)]
    for pattern, other in pairwise(patterns):
        assert pattern.isascii()
        assert pattern.isprintable()
        assert overlaps(pattern, other) == overlaps(other, pattern)
        assert overlaps(pattern, other) or not covers(pattern, other)


def bodies(data: bytes) -> None:
    """A stored body is poison, or becomes one frame of JSON that says what the server says of it."""
    show(Stored("RECORDS", b"chat.s1.message", 7, 0, b"2026-01-02T03:04:05Z", b"", data))


def live(data: bytes) -> None:
    """Headers of strangers never stand for the server's, and a message that is believed can be shown."""
    headers, _, body = data.partition(b"\r\n\r\n")
    told = b"\r\nNats-Stream: RECORDS\r\nNats-Subject: chat.s1.message\r\nNats-Sequence: 7\r\n"
    told += b"Nats-Time-Stamp: 2026-01-02T03:04:05.678Z\r\nNats-Last-Sequence: 6\r\n\r\n"
    streams = {b"Nats-Stream: RECORDS": "RECORDS"}
    message = read_live(streams, b"live.chat.s1.message", b"", b"NATS/1.0" + headers + told, body)
    assert message is not None
    assert (message.subject, message.seq, message.previous) == (b"chat.s1.message", 7, 6)
    show(message)
    with contextlib.suppress(ValueError):  # numbers that the server cannot have written
        forged = read_live(streams, b"live.chat.s1.message", b"", data, body)
        if forged is not None:
            show(forged)


def show(message: Stored) -> None:
    """Make its frame, and read that."""
    try:
        frame = text_frame(event_text(b"chat_s1", message, b"Rk3f-", 5, BODY_BYTES))
    except Poison as refusal:
        check_sentence(refusal)
        return
    said = json_of(frame)
    assert (said["topic"], said["subject"], said["event_type"]) == ("chat_s1", "chat.s1.message", "chat.message")
    assert (said["cursor"], said["prev"]) == (f"Rk3f-{message.seq}", "Rk3f-5")
    assert isinstance(said["payload"], dict)
    assert isinstance(said["id"], str)
    assert isinstance(said["timestamp"], str)


def asks(data: bytes) -> None:
    """A question from the queue can be answered, or is refused; and so it is with how long one would wait for that."""
    subject, _, body = data.partition(b"\n")
    try:
        ask = read_ask(Stored("ASKS", subject, 7, 0, b"", b"NATS/1.0\r\nMesh-Cursor: " + subject, body))
    except InvalidEvent as refusal:
        check_sentence(refusal)
    else:
        check_id(ask.session_id)
        assert str(asked.Target.parse(ask.target)) == ask.target
        assert check_id(answer_id(ask.session_id, ask.message_id))
        ChatMessage(session_id=ask.session_id, sender="a", content=ask.content, message_id=ask.message_id).to_dict()
    assert 0 <= (wait_of([data.decode("latin-1")]) or 0) <= MOST_WAIT_S


def json_of(frame: bytes) -> dict[str, Any]:
    """What the text frame carries, read as strictly as a browser does."""
    size = frame[1] if frame[1] < 126 else int.from_bytes(frame[2:4] if frame[1] == 126 else frame[2:10], "big")
    head = {126: 4, 127: 10}.get(frame[1], 2)
    assert frame[0] == 0x81
    assert len(frame) == head + size
    return strict_json(frame[head:].decode())


def strict_json(text: str) -> dict[str, Any]:
    """Read an object: no NaN, and numbers of any length, as they were written."""
    said = json.loads(text, parse_constant=refuse, parse_int=str, parse_float=str)
    assert isinstance(said, dict)
    return said


def refuse(constant: str) -> None:
    """No JSON has it."""
    raise AssertionError(f"{constant} is no JSON")


def check_sentence(refusal: Exception) -> None:
    """It can be logged as it is: at most 80 characters of strangers, escaped."""
    text = str(refusal)
    assert 0 < len(text) < 1_000
    assert text.isascii()
    assert text.isprintable()


def is_pattern(word: str) -> bool:
    """Whether NATS takes it."""
    try:
        return bool(check_pattern(word))
    except InvalidSubject:
        return False


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """One frame of a client."""
    return Frame(Opcode(opcode), payload, fin).serialize(mask=True)


def frame_seeds() -> list[bytes]:
    """The golden frames, and some that are cut, long or interleaved."""
    vectors = json.loads(VECTORS.read_text(encoding="utf-8"))
    golden = [bytes.fromhex(vector["data"]) for kind in ("accepted", "refused") for vector in vectors[kind]]
    text = "κόσμε 🜁 κόσμε".encode()
    return [
        *(seed for seed in golden if len(seed) < 2_000),
        masked(1, b'{"type":"ping"}') + masked(9, b"?") + masked(8, Close(1000, "bye").serialize()),
        masked(1, text[:3], fin=False) + masked(10) + masked(0, text[3:16], fin=False) + masked(0, text[16:]),
        masked(2, bytes(range(256))) + masked(1, b"x" * 126),
        masked(1, b"x" * 200, fin=False) + masked(9, b"x" * 125) + masked(0, b"x" * (LIMIT_BYTES - 200)),
        masked(1, b"x" * 200, fin=False) + masked(0, b"x" * (LIMIT_BYTES - 199)),
        masked(1, b"x" * 150, fin=False) + masked(0, b"x" * 151) + masked(9),
        masked(2, b"x" * LIMIT_BYTES) + masked(2, b"x" * (LIMIT_BYTES + 1)),
        masked(1, b"x" * 100) + masked(2, b"x" * 20, fin=False) + masked(0, b"y" * 20) + masked(1, b"z"),
    ]


TARGETS = {
    "frames": Target(frames, frame_seeds()),
    "handshakes": Target(handshakes.check, handshakes.SEEDS),
    "tokens": Target(tokens.check, tokens.SEEDS),
    "talk": Target(
        talk,
        [
            b'{"type":"ping","timestamp":1700000000000}',
            b'{"type":"ping","timestamp":{"at":[1.5e300,"\\ud83d\\ude00",null,true]}}',
            b'{"type":"pong"}',
            b'{"type":"send","id":"c1","subject":"chat.s1.message","payload":{"content":"Hi"}}',
            b'{"type":"subscribe","topic":"chat_s1","since":"Rk3f-120.Sp9a-88"}',
        ],
    ),
    "sends": Target(
        sends,
        [
            b'{"type":"send","id":"c1","subject":"chat.s1.message","payload":{"content":"Hi"}}',
            b'{"subject":"chat.s1.typing","payload":{},"id":null}',
        ],
    ),
    "wishes": Target(
        wishes,
        [
            b"chat_s1\nRk3f-120.Sp9a-88\n20\nchat.message,chat.delta",
            b"events\n\n1000\nagent.status, session.created",
            b"agent_scout\n\n\ntask.update",
            b"council",
        ],
    ),
    "positions": Target(positions, [b"Rk3f-120.Sp9a-88", b"Rk3f-0", b"Sp9a88aa-9223372036854775807", b"Aaa-1.Bbb-2"]),
    "subjects": Target(
        subjects,
        [
            b"chat.s1.message chat.*.message chat.> > *.s1.* session.s1.updated.api",
            b"presence.chat_s1.join system.edge.notice task.t1.update.scout",
            b"events council chat_s1 agent_scout chat_ ada@example.org",
            "chat.κόσμε.message agent.ada lovelace.activity".encode(),
        ],
    ),
    "bodies": Target(
        bodies,
        [
            b'{"event_type":"chat.message","payload":{"content":"Hi"},"id":"e1","timestamp":"2026-01-02T03:04:05Z"}',
            b' {"event_type" : "chat.message", "payload" : {"a":[1,2.5e3,null]} , "source":"api"}',
            b'{"activity":{"state":"searching"},"cursor":"mine","id":7}',
            '{"content":"κόσμε \\ud83d\\ude00 \\u0000"}'.encode(),
            b'{"event_type":"agent.status","payload":{}}',
        ],
    ),
    "asks": Target(
        asks,
        [
            b'ask.agent.scout.api\n{"event_type":"ask","payload":{"session_id":"s1","message_id":"m1","content":"?"}}',
            b'ask.daena.vp.cli\n{"session_id":"s1","content":"Hi","sender":"ada","metadata":{"a":[1]},"context":{}}',
            b'respond-async, wait=20; x="a, b", WAIT = "7"',
        ],
    ),
    "live": Target(
        live,
        [
            b"\r\nNats-Msg-Id: e1\r\ntraceparent: 00-1-2-01\r\n\r\n" + b'{"content":"Hi"}',
            b"NATS/1.0\r\nNats-Stream: RECORDS\r\nNats-Subject: chat.s1.message\r\nNats-Sequence: 1\r\n"
            b"Nats-Time-Stamp: 2026-01-02T03:04:05Z\r\nNats-Last-Sequence: 0\r\n\r\n" + b"{}",
        ],
    ),
}
"""All of them, by name."""
