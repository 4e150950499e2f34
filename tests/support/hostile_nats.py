"""Bodies and headers as a malicious client of NATS would send them, by chance: the same seed gives the same ones."""

from __future__ import annotations

import json
import random
from typing import Any

VALUES: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1e308,
        10**30,
        "",
        "\0",
        "\x1b[2J\r\nERROR forged line",
        "*",
        "a.b",
        "x" * 3_000,
        [],
        {},
        [[[]]],
    ),
    *({"a": {"b": None}}, "2026-13-45T99:99:99Z", "<script>alert(1)</script>"),
]
FIELDS = [
    *(
        "event_type",
        "payload",
        "id",
        "timestamp",
        "session_id",
        "message_id",
        "sender",
        "content",
        "metadata",
        "index",
        "run",
    ),
    *(
        "text",
        "task_id",
        "agent_id",
        "status",
        "progress",
        "instance",
        "serves",
        "answering",
        "tasks",
        "title",
        "cursor",
    ),
    *("users", "who", "since", "started_at", "target"),
]
HEADERS = [
    b"Nats-Msg-Id: %d",
    b"Nats-Sequence: 99999999999999999999%d",
    b"Nats-Stream: RECORDS%d",
    b"Nats-Time-Stamp: nonsense%d",
    b"Nats-Subject: chat.*.>%d",
    b"Nats-Last-Sequence: -%d",
    b"Nats-TTL: never%d",
    b"Nats-Rollup: all%d",
    b"Nats-Expected-Last-Sequence: x%d",
    b"Status: 503 %d",
    b"\xff\xfe\x00: %d",
    b": %d",
    b"no colon %d",
    b"A: " + b"y" * 4_000 + b"%d",
]
REPLIES = [b"", b"", b"chat.s1.message", b"live.chat.s1.message", b"_INBOX.nobody", b"$KV.AGENTS.a1"]


def a_body(chance: random.Random) -> bytes:
    """Random bytes, JSON that is too deep, events with fields of other types, and such that are cut."""
    kind = chance.randrange(8)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return b"[" * chance.randrange(1, 5_000) + b"1"
    if kind == 2:
        return b'{"payload":' * chance.randrange(1, 800)
    payload = {name: chance.choice(VALUES) for name in chance.sample(FIELDS, chance.randrange(8))}
    event = {"payload": payload, "event_type": chance.choice(VALUES), "id": chance.choice(VALUES)}
    body = json.dumps(payload if kind < 5 else event).encode()
    if kind == 7:
        place = chance.randrange(len(body))
        body = body[:place] + chance.randbytes(2) + body[place + 1 :]
    return body


def a_head(chance: random.Random) -> bytes:
    """Mostly none; else a block with forged, broken or huge headers."""
    if chance.randrange(3):
        return b""
    lines = [chance.choice(HEADERS) % chance.randrange(100) for _ in range(chance.randint(1, 4))]
    return b"NATS/1.0" + chance.choice([b"", b" 503", b" x y"]) + b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"
