"""What was told on a subject, from the log."""

from __future__ import annotations

from typing import Any

from daena_mesh.layout import SIGNALS
from tests.support.api import Api


async def told(api: Api, subject: str) -> list[dict[str, Any]]:
    """All that was ever told on a subject."""
    seq, found = 0, []
    while batch := (await api.mesh.log.batch(SIGNALS, subject, seq)).messages:
        for message in batch:
            seq = message.seq
            event = await api.context.writer.stored(SIGNALS, seq)
            assert event is not None
            found.append(event.payload)
    return found


async def statuses(api: Api, name: str) -> list[str]:
    """What was told of an agent's status."""
    return [payload["status"] for payload in await told(api, f"agent.{name}.status")]
