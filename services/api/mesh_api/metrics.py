"""What the API counts itself."""

from __future__ import annotations

from collections import Counter

from daena_mesh.metrics import Labels, Metric
from daena_mesh.micro import Figures
from mesh_api.problems import FORBIDDEN, NO_TOKEN, WRONG_TOKEN, Kind

_REFUSALS = (NO_TOKEN, WRONG_TOKEN, FORBIDDEN)


class Requests:
    """Counts answers by method and status."""

    def __init__(self) -> None:
        self._answered: Counter[Labels] = Counter()
        self.refused: Counter[str] = Counter({kind.name: 0 for kind in _REFUSALS})
        """Requests that were refused for their token, by the kind of problem."""
        self.figures = Figures()
        """The same for `nats micro stats`; errors are those of the API, such as a NATS that is away."""

    def note(self, method: str, status: int, seconds: float = 0.0) -> None:
        """One request was answered; methods that HTTP does not know are one."""
        self.figures.note(seconds, f"HTTP {status}" if status >= 500 else "")
        known = method if method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} else "other"
        self._answered[(("method", known), ("status", str(status)))] += 1

    def note_problem(self, kind: Kind) -> None:
        """A request ends with a problem."""
        if kind in _REFUSALS:
            self.refused[kind.name] += 1

    def metric(self) -> Metric:
        """The counts."""
        about = "HTTP requests that were answered."
        return Metric("mesh_api_requests_total", "counter", about, tuple(self._answered.items()))
