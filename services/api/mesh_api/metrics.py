"""What the API counts itself."""

from __future__ import annotations

from collections import Counter

from daena_mesh.metrics import Labels, Metric
from daena_mesh.micro import Figures


class Requests:
    """Counts answers by method and status."""

    def __init__(self) -> None:
        self._answered: Counter[Labels] = Counter()
        self.figures = Figures()
        """The same for `nats micro stats`; errors are those of the API, such as a NATS that is away."""

    def note(self, method: str, status: int, seconds: float = 0.0) -> None:
        """One request was answered; methods that HTTP does not know are one."""
        self.figures.note(seconds, f"HTTP {status}" if status >= 500 else "")
        known = method if method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} else "other"
        self._answered[(("method", known), ("status", str(status)))] += 1

    def metric(self) -> Metric:
        """The counts."""
        about = "HTTP requests that were answered."
        return Metric("mesh_api_requests_total", "counter", about, tuple(self._answered.items()))
