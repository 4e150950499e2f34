"""An agent made by hand: plain messages as any client of NATS sends them, when the test says so."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from daena_mesh.connection import header_block
from daena_mesh.heartbeat import TTL_S
from daena_mesh.ids import now
from daena_mesh.log import Ack
from daena_mesh.mesh import Mesh


class HandAgent:
    """One agent, through some mesh."""

    def __init__(self, mesh: Mesh, name: str, *, instance: str | None = None) -> None:
        self.name = name
        self.instance = instance or secrets.token_hex(6)
        self.started_at = now()
        self.mesh = mesh

    async def beat(self, status: str = "online", **more: Any) -> None:
        """Write a heartbeat, and wait until it is stored."""
        body = {
            "agent_id": self.name,
            "instance": self.instance,
            "status": status,
            "started_at": self.started_at,
            "serves": [f"agent/{self.name}"],
            "answering": [],
            "tasks": [],
            **more,
        }
        reply = await self.mesh.connection.request(
            f"$KV.AGENTS.{self.name}",
            msgspec.json.encode(body),
            timeout_s=5,
            headers=header_block({"Nats-TTL": str(TTL_S)}),
        )
        assert b'"seq"' in reply.body, reply

    async def say(self, status: str, **more: Any) -> Ack:
        """Tell its status."""
        payload = {"agent_id": self.name, "status": status, "instance": self.instance, **more}
        return await self.mesh.publish(f"agent.{self.name}.status", payload)

    async def act(self, activity: Any) -> Ack:
        """Tell what it does."""
        return await self.mesh.publish(f"agent.{self.name}.activity", {"agent_id": self.name, "activity": activity})

    async def update(self, task_id: str, status: str = "running", **more: Any) -> Ack:
        """Tell of a task."""
        payload = {"task_id": task_id, "agent_id": self.name, "status": status, **more}
        return await self.mesh.publish(f"task.{task_id}.update.{self.name}", payload)
