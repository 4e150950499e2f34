"""`mesh brain`: a language model that answers in the chat, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.util import find_spec

from daena_mesh.errors import ConfigurationError
from daena_mesh.settings import load
from mesh_brain.settings import BrainSettings, place_of
from mesh_cli.stopping import Stop


async def brain(*, nats_url: str | None, base_url: str, model: str | None, brain_id: str | None) -> int:
    """Answer and watch until asked to stop.

    Returns:
        The exit code: 0 after a stop that was asked for, 128 + signal where that came before it was ready.

    Raises:
        MeshError: a wrong setting, or the extra is missing.
    """
    place = place_of(os.environ, base_url)
    settings = load(BrainSettings, nats_url=nats_url, brain_model=model, brain_id=brain_id)
    if find_spec("openai") is None:
        raise ConfigurationError("this command needs openai; install it: pip install 'daena-mesh[server,brain]'")
    from mesh_brain.service import BrainService

    stop = Stop()
    try:
        async with BrainService(place, settings) as service:
            stop.started()
            health = service.answerer.watch.health
            asks = health.model if health is not None and health.model else "no model yet"
            sys.stdout.write(f"brain ready: {settings.agent} answers with {asks} at {place.shown}\n")
            sys.stdout.flush()
            await stop.asked.wait()
    except asyncio.CancelledError:
        if stop.number is None:
            raise
        return stop.exit_code
    return 0
