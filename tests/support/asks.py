"""What became of questions: judged from the log and from the queue."""

from __future__ import annotations

import json
from collections import Counter

from daena_mesh.events import Event
from daena_mesh.layout import RECORDS
from daena_mesh.mesh import Mesh
from daena_mesh.provisioning import ASKS
from mesh_api.streams import counts
from tests.support.deadlines import eventually


async def answers_to(mesh: Mesh, session_id: str, message_id: str) -> list[Event]:
    """Give the messages of a session that end a question."""
    found = await mesh.chat(session_id).history(1_000)
    return [event for event in found if (event.payload.get("metadata") or {}).get("in_reply_to") == message_id]


async def answered(mesh: Mesh) -> Counter[str]:
    """Count the messages in the log that end each question."""
    counts: Counter[str] = Counter()
    for pattern in ("chat.*.message", "chat.*.message.*"):
        position = 0
        while True:
            batch = await mesh.log.batch(RECORDS, pattern, position)
            for message in batch.messages:
                position = message.seq
                if in_reply_to := (json.loads(message.body)["payload"].get("metadata") or {}).get("in_reply_to"):
                    counts[in_reply_to] += 1
            if not batch.pending:
                break
    return counts


async def queued(mesh: Mesh, pattern: str = "ask.>") -> int:
    """Give how many questions of ``pattern`` are in the queue."""
    return sum((await counts(mesh.connection, ASKS, pattern)).by_subject.values())


async def queue_is_empty(mesh: Mesh, pattern: str = "ask.>", *, within_s: float = 30) -> None:
    """Wait until the queue has nothing of ``pattern`` any more."""

    async def is_empty() -> bool:
        return await queued(mesh, pattern) == 0

    await eventually(is_empty, within_s=within_s)
