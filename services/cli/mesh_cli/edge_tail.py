"""`mesh tail --edge`: what an edge shows, for those outside NATS."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from daena_mesh.cursors import Positions
from daena_mesh.edge_client import EdgeState, connect
from daena_mesh.edge_client.address import topic_for
from daena_mesh.errors import ConfigurationError
from daena_mesh.events import Event
from daena_mesh.feed import Gap
from daena_mesh.subjects import covers

_log = logging.getLogger(__name__)


async def follow_edge(
    pattern: str, since: Positions | None, *, url: str, token_file: Path | None
) -> AsyncIterator[Event | Gap]:
    """Give what the mesh at ``url`` shows of what ``pattern`` matches, over reconnects.

    Raises:
        MeshError: a bad pattern or address, or the edge refuses.
    """
    token = None if token_file is None else partial(_read, token_file)
    if token is not None:
        token()  # raises what there is to raise
    client = connect(
        url,
        topic_for(pattern),
        token=token,
        since=str(since) if since is not None else "",
        on_state=_tell,
    )
    async with client:
        async for item in client:
            if isinstance(item, Gap) or covers(pattern, item.subject):
                yield item


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"the token cannot be read: {error}") from None


def _tell(state: EdgeState) -> None:
    if state.retry_in_s is not None:
        _log.warning("the edge is away (%s); trying again in %.1f s", state.reason, state.retry_in_s)
