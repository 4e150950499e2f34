"""Tests of agents and services against a real mesh: a pytest plugin, and what its fixtures are made of.

The fixtures are in `plugin`, which pytest finds by itself; nothing else here needs pytest.
"""

from __future__ import annotations

from daena_mesh.testing.recorder import Recorder
from daena_mesh.testing.server import Account, MeshServer

__all__ = ["Account", "MeshServer", "Recorder"]
