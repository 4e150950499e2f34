"""What the package gives out, and what it brings along."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import daena_mesh
from daena_mesh import sync

SIGNATURES = {
    "emit_chat_message": ["session_id", "sender", "content", "metadata=None"],
    "emit_session_created": ["session_id", "title", "category=None"],
    "emit_session_updated": ["session_id", "updates"],
    "emit_agent_activity": ["agent_id", "activity"],
    "emit_brain_status": ["status", "brain_id=main"],
    "emit_task_update": ["task_id", "status", "progress=None"],
    "emit_council_update": ["council_id", "update"],
}

LOADED = """
import json, sys
before = set(sys.modules)
import daena_mesh, daena_mesh.sync
third = {name.partition(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(json.dumps(sorted(third)))
"""


def test_importing_it_loads_nothing_but_nats_and_msgspec() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=30)
    assert set(json.loads(done.stdout)) <= {"daena_mesh", "nats", "msgspec", "typing_extensions"}


def test_the_list_of_exports_is_sorted_and_complete() -> None:
    assert list(daena_mesh.__all__) == sorted(daena_mesh.__all__)
    for name in daena_mesh.__all__:
        assert getattr(daena_mesh, name).__doc__, name
    imported = {name for name, value in vars(daena_mesh).items() if inspect.isclass(value) or inspect.isfunction(value)}
    assert imported == set(daena_mesh.__all__)


def test_the_emitters_have_exactly_these_signatures_with_and_without_a_loop() -> None:
    for name, wanted in SIGNATURES.items():
        for module in (daena_mesh, sync):
            parameters = inspect.signature(getattr(module, name)).parameters.values()
            found = [p.name if p.default is p.empty else f"{p.name}={p.default}" for p in parameters]
            assert found == wanted, name
        assert inspect.iscoroutinefunction(getattr(daena_mesh, name))
        assert not inspect.iscoroutinefunction(getattr(sync, name))
