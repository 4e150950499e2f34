"""Metrics as Prometheus reads them: its text format (version 0.0.4), for which a few lines do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from daena_mesh.histogram import Histogram

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class Distribution(NamedTuple):
    """A histogram: how often each bound was kept, by its text, and the sum of all that was seen."""

    labels: Labels
    buckets: tuple[tuple[str, int], ...]
    total: float


class Metric(NamedTuple):
    """One metric and its samples, by their labels; a histogram has distributions instead."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[Labels, float], ...] = ()
    distributions: tuple[Distribution, ...] = ()


def single(name: str, kind: str, about: str, value: float) -> Metric:
    """A metric without labels."""
    return Metric(name, kind, about, (((), value),))


def by(label: str, name: str, kind: str, about: str, values: Mapping[str, float]) -> Metric:
    """A metric with one label, and a value for each of its values."""
    return Metric(name, kind, about, tuple((((label, of),), value) for of, value in values.items()))


def by_both(labels: tuple[str, str], name: str, about: str, values: Mapping[tuple[str, str], float]) -> Metric:
    """A counter with two labels, and a value for each pair of their values."""
    samples = tuple((tuple(zip(labels, of, strict=True)), value) for of, value in values.items())
    return Metric(name, "counter", about, samples)


def timing(name: str, about: str, histogram: Histogram) -> Metric:
    """A histogram without labels, of seconds."""
    seen = Distribution((), tuple(histogram.buckets()), histogram.total_s)
    return Metric(name, "histogram", about, distributions=(seen,))


def merged(groups: Mapping[str, Iterable[Metric]], label: str) -> list[Metric]:
    """The metrics of several groups as one, each sample with the name of its group as ``label``."""
    found: dict[str, Metric] = {}
    for of, metrics in groups.items():
        for metric in metrics:
            before = found.setdefault(metric.name, metric._replace(samples=(), distributions=()))
            own = tuple((((label, of), *labels), value) for labels, value in metric.samples)
            seen = tuple(one._replace(labels=((label, of), *one.labels)) for one in metric.distributions)
            found[metric.name] = before._replace(
                samples=before.samples + own, distributions=before.distributions + seen
            )
    return list(found.values())


def text(metrics: Iterable[Metric]) -> str:
    """All of them as Prometheus reads them; label values hold nothing that would need an escape."""
    lines: list[str] = []
    for metric in metrics:
        lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}"]
        lines += [_sample(metric.name, labels, value) for labels, value in metric.samples]
        for labels, buckets, total in metric.distributions:
            lines += [_sample(f"{metric.name}_bucket", (*labels, ("le", bound)), count) for bound, count in buckets]
            lines.append(_sample(f"{metric.name}_sum", labels, total))
            lines.append(_sample(f"{metric.name}_count", labels, buckets[-1][1]))
    return "\n".join(lines) + "\n"


def _sample(name: str, labels: Labels, value: float) -> str:
    names = ",".join(f'{label}="{of}"' for label, of in labels)
    return f"{name}{f'{{{names}}}' if names else ''} {value!r}"
