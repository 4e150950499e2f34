"""What two looks at the mesh say: rates, latencies, and who has a copy of what. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mesh_api.survey import EndpointStats, Member, StreamInfo, Survey

_NS = 1_000_000_000
_MOST_TEXT = 200


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """From publishing, by the publisher's clock, to the write to sockets, in milliseconds; estimated from a histogram.

    Of the time since the look before, where that is recent and something was measured since; else of all its life.
    """

    p50_ms: float
    p99_ms: float
    samples: int
    is_recent: bool


class EdgeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A process that sends events on to sockets."""

    edge_id: str
    instance: str
    host: str
    version: str
    started: str
    sockets: int
    topics: int
    refused: int
    deliveries: int
    """Frames that it gave to sockets, live."""
    deliveries_per_s: float | None
    latency: Latency | None


class ApiFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A process that serves the API."""

    instance: str
    host: str
    version: str
    started: str
    requests: int
    errors: int
    requests_per_s: float | None
    average_ms: float


class BrainFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A process that answers with a language model."""

    brain_id: str
    instance: str
    host: str
    version: str
    started: str
    answers: int
    errors: int
    answering: int
    state: str | None
    model: str | None


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of a stream on a server."""

    node: str
    leads: bool
    current: bool
    offline: bool
    lag: int


class StreamFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A stream. ``max_bytes`` and ``max_age_s`` are null where it has no such limit."""

    name: str
    messages: int
    bytes: int
    max_bytes: int | None
    max_age_s: float | None
    first_at: str | None
    last_at: str | None
    subjects: int
    consumers: int
    stored: int
    """How many messages were ever stored."""
    stored_per_s: float | None
    storage: str
    copies: list[Copy]


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A nats-server, as far as the streams tell of it."""

    name: str
    version: str | None
    """Only of the one to which the API is connected."""
    leads: list[str]
    follows: list[str]
    current: bool
    """Whether none of its copies is behind: at once false where a server dies."""
    offline: bool
    """Whether NATS takes it for gone, which takes it a while."""
    lag: int
    """Of all its copies, in messages."""


def edges_of(now: Survey, before: Survey | None) -> list[EdgeFigures]:
    """The edges."""
    found = []
    for member, endpoint, old in _pairs("mesh-edge", now, before):
        found.append(
            EdgeFigures(
                edge_id=_text(member.metadata.get("edge")) or member.id,
                **_who(member),
                sockets=_count(endpoint, "sockets"),
                topics=_count(endpoint, "topics"),
                refused=_count(endpoint, "refused"),
                deliveries=endpoint.num_requests,
                deliveries_per_s=_rate(endpoint.num_requests, old.num_requests if old else None, _seconds(now, before)),
                latency=latency_of(endpoint.data.get("latency"), old.data.get("latency") if old else None),
            )
        )
    return found


def apis_of(now: Survey, before: Survey | None) -> list[ApiFigures]:
    """The APIs."""
    return [
        ApiFigures(
            **_who(member),
            requests=endpoint.num_requests,
            errors=endpoint.num_errors,
            requests_per_s=_rate(endpoint.num_requests, old.num_requests if old else None, _seconds(now, before)),
            average_ms=round(endpoint.average_processing_time / 1e6, 3),
        )
        for member, endpoint, old in _pairs("mesh-api", now, before)
    ]


def brains_of(now: Survey) -> list[BrainFigures]:
    """The brains."""
    return [
        BrainFigures(
            brain_id=_text(member.metadata.get("brain")) or member.id,
            **_who(member),
            answers=endpoint.num_requests,
            errors=endpoint.num_errors,
            answering=_count(endpoint, "answering"),
            state=_text(endpoint.data.get("state")),
            model=_text(endpoint.data.get("model")),
        )
        for member, endpoint, _ in _pairs("mesh-brain", now, None)
    ]


def streams_of(now: Survey, before: Survey | None) -> list[StreamFigures]:
    """The streams that tell of themselves."""
    found = []
    for name, info in now.streams.items():
        if info is None:
            continue
        state, config = info.state, info.config
        old = before.streams.get(name) if before is not None else None
        found.append(
            StreamFigures(
                name=name,
                messages=state.messages,
                bytes=state.bytes,
                max_bytes=config.max_bytes if config.max_bytes > 0 else None,
                max_age_s=config.max_age / _NS if config.max_age > 0 else None,
                first_at=state.first_ts if state.messages else None,
                last_at=state.last_ts if state.messages else None,
                subjects=state.num_subjects,
                consumers=state.consumer_count,
                stored=state.last_seq,
                stored_per_s=_rate(state.last_seq, old.state.last_seq if old else None, _seconds(now, before)),
                storage=config.storage,
                copies=_copies(info, now),
            )
        )
    return found


def nodes_of(now: Survey, streams: Sequence[StreamFigures]) -> list[Node]:
    """The nats-servers that have copies of streams, and the one that the API is connected to."""
    copies: dict[str, list[tuple[str, Copy]]] = {now.server.name: []}
    for stream in streams:
        for copy in stream.copies:
            copies.setdefault(copy.node, []).append((stream.name, copy))
    return [
        Node(
            name=name,
            version=now.server.version if name == now.server.name else None,
            leads=[stream for stream, copy in own if copy.leads],
            follows=[stream for stream, copy in own if not copy.leads],
            current=all(copy.current for _, copy in own),
            offline=bool(own) and all(copy.offline for _, copy in own),
            lag=sum(copy.lag for _, copy in own),
        )
        for name, own in sorted(copies.items())
    ]


def latency_of(now: object, before: object) -> Latency | None:
    """From what an edge tells of its histogram, now and before; None where it measured nothing."""
    counts, bounds = _counts(now)
    if not any(counts):
        return None
    old, old_bounds = _counts(before)
    is_recent = False
    if old_bounds == bounds:
        since = [count - earlier for count, earlier in zip(counts, old, strict=True)]
        if any(since) and min(since) >= 0:
            counts, is_recent = since, True
    return Latency(
        p50_ms=round(1_000 * quantile(bounds, counts, 0.5), 2),
        p99_ms=round(1_000 * quantile(bounds, counts, 0.99), 2),
        samples=sum(counts),
        is_recent=is_recent,
    )


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float:
    """The value below which lies a share of what was counted, taking each bucket as evenly filled.

    ``counts`` has one more than ``bounds``: what is above the last of them counts as that one.
    """
    rank, below = share * sum(counts), 0
    low = 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return low + (bound - low) * (rank - below) / count
        below += count
        low = bound
    return low


def _pairs(name: str, now: Survey, before: Survey | None) -> list[tuple[Member, EndpointStats, EndpointStats | None]]:
    """The processes of a service: what each tells, and what it told before."""
    old = {member.id: member for member in before.members if member.name == name} if before is not None else {}
    found = []
    for member in now.members:
        if member.name == name and member.endpoints:
            earlier = old.get(member.id)
            known = earlier is not None and earlier.started == member.started and earlier.endpoints
            found.append((member, member.endpoints[0], earlier.endpoints[0] if earlier and known else None))
    return found


def _who(member: Member) -> dict[str, str]:
    return {
        "instance": member.id[:_MOST_TEXT],
        "host": member.metadata.get("host", "")[:_MOST_TEXT],
        "version": member.version[:_MOST_TEXT],
        "started": member.started[:_MOST_TEXT],
    }


def _seconds(now: Survey, before: Survey | None) -> float:
    return now.at - before.at if before is not None else 0.0


def _rate(now: int, before: int | None, seconds: float) -> float | None:
    """How many a second; None where that is not known, or it began anew."""
    if before is None or seconds <= 0 or now < before:
        return None
    return round((now - before) / seconds, 2)


def _count(endpoint: EndpointStats, key: str) -> int:
    value = endpoint.data.get(key)
    return value if isinstance(value, int) else 0


def _text(value: object) -> str | None:
    return value[:_MOST_TEXT] if isinstance(value, str) and value else None


def _counts(told: object) -> tuple[list[int], list[float]]:
    """Counts and bounds of a histogram; two empty lists for what is none."""
    if not isinstance(told, Mapping):
        return [], []
    counts, bounds = told.get("counts"), told.get("bounds_s")
    if not isinstance(counts, list) or not isinstance(bounds, list) or len(counts) != len(bounds) + 1:
        return [], []
    if not all(_is_number(each) for each in (*counts, *bounds)):
        return [], []
    return [int(count) for count in counts], [float(bound) for bound in bounds]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 2**63


def _copies(info: StreamInfo, now: Survey) -> list[Copy]:
    leader = info.cluster.leader or now.server.name  # a server that is alone names no leader
    copies = [Copy(node=leader, leads=True, current=True, offline=False, lag=0)]
    copies += [
        Copy(node=peer.name, leads=False, current=peer.current, offline=peer.offline, lag=peer.lag)
        for peer in info.cluster.replicas
    ]
    return copies
