"""What the API counts itself."""

from __future__ import annotations

from collections import Counter

from daena_mesh.metrics import Labels, Metric


class Requests:
    """Counts answers by method and status."""

    def __init__(self) -> None:
        self._answered: Counter[Labels] = Counter()

    def note(self, method: str, status: int) -> None:
        """One request was answered; methods that HTTP does not know are one."""
        known = method if method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} else "other"
        self._answered[(("method", known), ("status", str(status)))] += 1

    def metric(self) -> Metric:
        """The counts."""
        about = "HTTP requests that were answered."
        return Metric("mesh_api_requests_total", "counter", about, tuple(self._answered.items()))
