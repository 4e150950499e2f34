"""The emitters for code without an event loop: the same names and arguments, and the caller waits.

>>> from daena_mesh.sync import emit_chat_message
>>> emit_chat_message("test_session", "user", "Hello!")
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from daena_mesh import emitters

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_CLOSE_S = 5.0
_lock = threading.Lock()
_running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None


def _background() -> asyncio.AbstractEventLoop:
    """An event loop in a thread of its own, which ends with the process."""
    global _running  # noqa: PLW0603 - one for each process is what it is for
    with _lock:
        if _running is None:
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="daena-mesh", daemon=True)
            thread.start()
            atexit.unregister(close)
            atexit.register(close)
            _running = loop, thread
        return _running[0]


def close() -> None:
    """Send what waits and close the connection; the next call connects anew. Called at exit by itself."""
    global _running
    with _lock:
        running, _running = _running, None
    if running is not None:
        loop, thread = running
        try:
            asyncio.run_coroutine_threadsafe(emitters.close_default_mesh(), loop).result(_CLOSE_S)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_CLOSE_S)
            if not thread.is_alive():
                loop.close()


def _waiting(emit: Callable[_Arguments, Coroutine[Any, Any, _Result]]) -> Callable[_Arguments, _Result]:
    @wraps(emit)
    def call(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        return asyncio.run_coroutine_threadsafe(emit(*args, **kwargs), _background()).result()

    return call


emit_chat_message = _waiting(emitters.emit_chat_message)
emit_session_created = _waiting(emitters.emit_session_created)
emit_session_updated = _waiting(emitters.emit_session_updated)
emit_agent_activity = _waiting(emitters.emit_agent_activity)
emit_brain_status = _waiting(emitters.emit_brain_status)
emit_task_update = _waiting(emitters.emit_task_update)
emit_council_update = _waiting(emitters.emit_council_update)
