"""The server of the model answers as the real one does: the same questions to both, the same bytes back."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from daena_mesh.connection import Connection, Reply, header_block
from daena_mesh.embedded import NatsServer
from daena_mesh.layout import RECORDS, SIGNALS
from tests.model.clock import finish
from tests.model.world import Setup, World
from tests.support.deadlines import within
from tests.support.edge import provisioned_mesh

PUBLISHED = [
    ("chat.s1.message", {"Nats-Msg-Id": "a"}),
    ("chat.s2.message", {}),
    ("session.s1.updated", {}),
    ("chat.s1.message", {}),
    ("chat.s1.message", {"Nats-Msg-Id": "a"}),
    ("chat.s1.message.ada", {}),
    ("agent.a1.activity", {}),
    ("chat.s1.delta", {}),
    ("chat.s1.delta", {}),
]

_DIRECT, _GET = "$JS.API.DIRECT.GET.", "$JS.API.STREAM.MSG.GET."
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    *[(_DIRECT + RECORDS, {"seq": seq, "next_by_subj": "chat.s1.>", "batch": 10}) for seq in (0, 1, 3, 6, 7, 99)],
    *[(_DIRECT + RECORDS, {"seq": 1, "next_by_subj": ">", "batch": batch}) for batch in (1, 2, 100)],
    (_DIRECT + RECORDS, {"seq": 1, "next_by_subj": "council.>", "batch": 10}),
    (_DIRECT + RECORDS, {"start_time": "2026-01-01T00:00:00Z", "next_by_subj": ">", "batch": 4}),
    *[(_DIRECT + RECORDS, {"multi_last": ["chat.s1.>", "session.s1.>"], "seq": seq}) for seq in (1, 5, 6, 7)],
    *[(_DIRECT + RECORDS, {"multi_last": ["chat.s1.>", "mesh.epoch.RECORDS"], "seq": seq}) for seq in (1, 6, 7)],
    (_DIRECT + SIGNALS, {"multi_last": ["council.>", "mesh.epoch.SIGNALS"], "seq": 3}),
    (_DIRECT + SIGNALS, {"multi_last": ["council.>"], "seq": 1}),
    *[(_GET + RECORDS, {"last_by_subj": pattern}) for pattern in ("chat.s1.>", ">", "council.>")],
    *[(_GET + RECORDS, {"seq": seq}) for seq in (2, 99)],
    ("$JS.API.STREAM.INFO." + RECORDS, {}),
]


async def answers(connection: Connection, subject: str, request: object, headers: bytes = b"") -> list[Reply]:
    """Ask, and give all messages of the answer."""
    replies: list[Reply] = []
    ended = asyncio.get_running_loop().create_future()

    def give(reply: Reply | None) -> None:
        assert reply is not None
        replies.append(reply)
        is_last = _DIRECT not in subject or re.match(rb"NATS/1.0 [24]0", reply.headers)
        if is_last and not ended.done():
            ended.set_result(None)

    body = json.dumps(request).encode()
    token = connection.ask(subject, body, give, headers)
    await ended
    connection.stop_asking(token)
    return [Reply(_without_time(reply.headers), _of_interest(reply.body)) for reply in replies]


def _without_time(headers: bytes) -> bytes:
    return re.sub(rb"(Nats-Time-Stamp: )[^\r]*", rb"\1-", headers)


def _of_interest(body: bytes) -> bytes:
    """As much of an answer in JSON as an edge looks at, without what differs from run to run."""
    if not body.startswith(b'{"'):
        return b"" if body.isalnum() else body  # the name of an epoch
    value = json.loads(body)
    if "state" in value:
        wanted = {"first_seq": value["state"]["first_seq"], "last_seq": value["state"]["last_seq"]}
    elif "message" in value:
        wanted = {key: value["message"].get(key) for key in ("subject", "seq", "hdrs", "data")}
    elif "error" in value:
        wanted = {"err_code": value["error"]["err_code"]}
    else:
        wanted = {key: value.get(key) for key in ("n", "stream", "seq", "duplicate")}
    return json.dumps(wanted).encode()


async def conversation(connection: Connection) -> list[tuple[object, list[Reply]]]:
    """Publish, and ask everything."""
    said: list[tuple[object, list[Reply]]] = []
    for number, (subject, headers) in enumerate(PUBLISHED):
        block = header_block(headers) if headers else b""
        said.append((subject, await answers(connection, subject, {"n": number}, block)))
    for subject, request in QUESTIONS:
        said.append(((subject, request), await answers(connection, subject, request)))
    return said


async def test_the_model_answers_as_the_real_server_does(nats_server: NatsServer) -> None:
    async with within(20), provisioned_mesh(nats_server.url) as mesh:
        real = await conversation(mesh.connection)
    modelled: list[tuple[object, list[Reply]]] = []

    async def converse(world: World) -> None:
        modelled.extend(await conversation(world.edge.mesh.connection))

    await asyncio.to_thread(_in_the_model, converse)
    for mine, theirs in zip(modelled, real, strict=True):
        assert mine == theirs


def _in_the_model(work: Any) -> None:
    with World(Setup()) as world, world.loop.running():
        finish(world.loop, work(world), world.rest)
