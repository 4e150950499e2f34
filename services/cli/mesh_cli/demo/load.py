"""What this machine is busy with."""

from __future__ import annotations

from typing import Any

import psutil

_BUSY_PERCENT = 85.0
_FULL_PERCENT = 90.0


def load() -> dict[str, Any]:
    """The load since the last call, as the status of a brain."""
    processor, memory, disk = psutil.cpu_percent(interval=None), psutil.virtual_memory(), psutil.disk_usage(".")
    return {
        "state": state_of(processor, memory.percent, disk.percent),
        "cpu_percent": processor,
        "cores": psutil.cpu_count() or 1,
        "memory_percent": memory.percent,
        "memory_mib": memory.total // 1_048_576,
        "disk_percent": disk.percent,
        "processes": len(psutil.pids()),
    }


def state_of(cpu_percent: float, memory_percent: float, disk_percent: float) -> str:
    """One word for it: what is most urgent."""
    if memory_percent >= _FULL_PERCENT:
        return "short of memory"
    if disk_percent >= _FULL_PERCENT:
        return "short of disk"
    return "busy" if cpu_percent >= _BUSY_PERCENT else "well"
