"""`mesh emit`: one event, stored."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from daena_mesh.errors import InvalidEvent, MeshUnavailable
from daena_mesh.mesh import Mesh
from daena_mesh.subjects import Subject

WAIT_S = 5.0
"""How long NATS may take to answer."""


def parse_payload(text: str) -> dict[str, Any]:
    """Read a JSON object; raises `InvalidEvent`, which says what is wrong with it."""
    try:
        payload = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise InvalidEvent(f"the payload is no JSON: {error}; for a shell it stands in single quotes") from None
    if not isinstance(payload, dict):
        raise InvalidEvent('the payload must be a JSON object, such as {"activity": "searching"}')
    return payload


async def emit(subject: str, text: str, *, nats_url: str | None) -> int:
    """Publish ``text`` (JSON, or ``-``: what standard input holds) on ``subject`` and print the cursor.

    Raises:
        MeshError: a bad subject or payload, or no NATS.
    """
    Subject.parse(subject)
    payload = parse_payload(sys.stdin.read() if text == "-" else text)
    async with Mesh.connect(nats_url, name="mesh-emit", wait_s=WAIT_S) as mesh:
        ack = await mesh.publish(subject, payload)
        if not ack.seq:  # a signal that waits, as an agent's would; we do not
            raise MeshUnavailable(
                f"{subject} was not stored within {WAIT_S:.0f} s: its stream has no leader, or the credentials do not "
                "allow this subject; `mesh doctor` knows the one, the log of NATS the other"
            )
    sys.stdout.write(f"{ack.cursor}\n")
    return 0
