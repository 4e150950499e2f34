"""A few honest counters, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    """One metric and its samples, by their labels."""

    name: str
    kind: str
    help: str
    samples: Mapping[tuple[tuple[str, str], ...], float]


class Requests:
    """Counts answers by method and status."""

    def __init__(self) -> None:
        self._answered: Counter[tuple[tuple[str, str], ...]] = Counter()

    def note(self, method: str, status: int) -> None:
        """One request was answered; methods that HTTP does not know are one."""
        known = method if method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} else "other"
        self._answered[(("method", known), ("status", str(status)))] += 1

    def metric(self) -> Metric:
        """The counts."""
        return Metric("mesh_api_requests_total", "counter", "HTTP requests that were answered.", dict(self._answered))


def single(name: str, kind: str, about: str, value: float) -> Metric:
    """A metric without labels."""
    return Metric(name, kind, about, {(): value})


def text(metrics: Iterable[Metric]) -> str:
    """All of them as Prometheus reads them; label values hold nothing that would need an escape."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in metric.samples.items():
            names = ",".join(f'{name}="{of}"' for name, of in labels)
            lines.append(f"{metric.name}{f'{{{names}}}' if names else ''} {value!r}")
    return "\n".join(lines) + "\n"
