"""What each party may do in NATS, as templates that the server itself fills in: pure data.

``{{name()}}`` and ``{{tag(session)}}`` come from the claims of whoever connects, so one signing key confines all that
it signs for. A template is what nats-server calls the scope of a signing key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from daena_mesh.errors import ConfigurationError
from daena_mesh.layout import RECORDS, SIGNALS, Layout

AGENT = "agent"
EDGE = "edge"
OPS = "ops"
UP = "up"
"""Whoever is API and edge in one process: `mesh up`."""
LEAF = "leaf"
"""A nats-server near edges, which asks the hub for them: `deploy/nats/leaf.conf`."""
HUB_DOMAIN = "hub"
"""The name of the hub's JetStream, as a leaf asks for it (``$JS.hub.API``)."""
SERVICES = ("api", EDGE, "brain", LEAF)
ROLES = (AGENT, *SERVICES, UP, OPS)

_ME = "{{name()}}"
_IN = "{{tag(session)}}"
_OF = "{{tag(department)}}"
_AS = "{{tag(agent)}}"
_EVENTS = (RECORDS, SIGNALS)
_BUCKETS = ("KV_AGENTS", "KV_PRESENCE", "KV_REVOKED")
_DISCOVERY = ("PING", "INFO", "STATS")
_HELD = "mesh.held.*"
_AGENT_PAYLOAD_BYTES = 131_072
_REPLY_WITHIN_NS = 5_000_000_000


def templates(layout: Layout) -> dict[str, dict[str, Any]]:
    """The template of each role; services may publish what ``layout`` has beyond the mesh's own too."""
    makers: Mapping[str, Callable[[Layout], tuple[list[str], list[str]]]] = {
        AGENT: _agent,
        "api": _api,
        EDGE: _edge,
        "brain": _brain,
        LEAF: _leaf,
        UP: _up,
        OPS: _ops,
    }
    return {role: _template(role, *makers[role](layout)) for role in ROLES}


def inbox_prefix(role: str, name: str) -> str:
    """Under which subjects replies come to somebody: nobody else may listen there."""
    return f"_INBOX_{name}" if role == AGENT else f"_INBOX.{role}-{name}"


def tags_of(
    role: str, sessions: Iterable[str] = (), departments: Iterable[str] = (), agents: Iterable[str] = ()
) -> list[str]:
    """What the claims of a user hold for its template, and from which `role_of` reads the role."""
    return [
        f"role:{role}",
        *(f"session:{session}" for session in sessions),
        *(f"department:{department}" for department in departments),
        *(f"agent:{agent}" for agent in agents),
    ]


def role_of(tags: Sequence[str]) -> str:
    """The role in the tags of a user; who has none is an agent."""
    return next((tag.removeprefix("role:") for tag in tags if tag.startswith("role:")), AGENT)


def check_role(role: str) -> str:
    """Return ``role`` if it is that of a service; raises `ConfigurationError`."""
    if role not in SERVICES:
        raise ConfigurationError(f"{role[:40]!r} is no service: there are {', '.join(SERVICES)}")
    return role


def _template(role: str, publish: list[str], subscribe: list[str]) -> dict[str, Any]:
    subscribe = [f"{inbox_prefix(role, _ME)}.>", *subscribe]
    return {
        "pub": {"allow": _once(publish)},
        "sub": {"allow": _once(subscribe)},
        **({} if role == OPS else {"resp": {"max": 1, "ttl": _REPLY_WITHIN_NS}}),
        "subs": -1,
        "data": -1,
        "payload": _AGENT_PAYLOAD_BYTES if role == AGENT else -1,
    }


def _once(subjects: list[str]) -> list[str]:
    return list(dict.fromkeys(subjects))


def _agent(_layout: Layout) -> tuple[list[str], list[str]]:
    publish = [
        *(f"agent.{_ME}.{verb}" for verb in ("activity", "status")),
        *(f"task.*.update.{_ME}", f"ask.*.*.{_ME}", f"$KV.AGENTS.{_ME}"),
        *(f"chat.{_IN}.{verb}.{_ME}" for verb in ("message", "delta", "typing")),
        *(f"mesh.log.{_IN}.{_ME}", _HELD),
        *_taking(f"agent-{_ME}"),
        *_taking(f"department-{_OF}"),
    ]
    subscribe = [
        *(f"live.chat.{_IN}.>", f"live.session.{_IN}.>"),
        *(f"$SRV.{verb}" for verb in _DISCOVERY),
        *(f"$SRV.*.{_ME}", f"$SRV.*.{_ME}.*", f"svc.{_ME}.>"),
    ]
    return publish, subscribe


def _api(layout: Layout) -> tuple[list[str], list[str]]:
    readable = (*_EVENTS, *_BUCKETS)
    publish = [
        *(subject for stream in layout.streams for subject in layout.subjects(stream)),
        *("ask.>", "svc.*.cancel", "$KV.PRESENCE.>", "$KV.REVOKED.>", _HELD),
        *_reading((*readable, "ASKS")),
        *(f"$JS.API.STREAM.{verb}.{stream}" for stream in (*readable, "ASKS") for verb in ("CREATE", "UPDATE")),
        *(f"$JS.API.STREAM.PURGE.{stream}" for stream in _EVENTS),
        *(f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}" for stream in (*_EVENTS, "ASKS")),
        *(f"$JS.API.CONSUMER.{verb}.{stream}.*" for stream in readable for verb in ("CREATE", "DELETE", "MSG.NEXT")),
        *("$JS.API.STREAM.MSG.DELETE.ASKS", "$JS.API.CONSUMER.NAMES.ASKS", "$JS.API.CONSUMER.LIST.ASKS"),
        *("$JS.API.CONSUMER.CREATE.ASKS.>", "$JS.API.CONSUMER.DELETE.ASKS.*"),
        *(f"$SRV.STATS.mesh-{service}" for service in SERVICES),
    ]
    subscribe = [
        *("live.>", "$SRV.>", "mesh.log.>", _HELD, "$KV.AGENTS.*", "$KV.REVOKED.>"),
        *("agent.*.status", "agent.*.status.*"),
    ]
    return publish, subscribe


def _edge(layout: Layout) -> tuple[list[str], list[str]]:
    base = Layout()
    added = [
        subject
        for stream in layout.streams
        for subject in layout.subjects(stream)
        if subject not in base.subjects(stream)
    ]
    publish = [
        *(f"chat.*.{verb}" for verb in ("message", "typing", "stop")),
        *("presence.*.join", "presence.*.leave", "system.*.notice", "council.*.update", "$KV.PRESENCE.>"),
        *(*added, _HELD),
        *_reading((*_EVENTS, "KV_PRESENCE", "KV_REVOKED")),
    ]
    return publish, ["live.>", "$SRV.>", "$KV.REVOKED.>"]


def _leaf(layout: Layout) -> tuple[list[str], list[str]]:
    """What the edges behind it may, which listen for replies where it does."""
    publish, subscribe = _edge(layout)
    asking = [subject.replace("$JS.API.", f"$JS.{HUB_DOMAIN}.API.") for subject in publish]
    return asking, subscribe


def _brain(_layout: Layout) -> tuple[list[str], list[str]]:
    publish = [
        *(f"agent.{_AS}.activity", f"agent.{_AS}.status", f"task.*.update.{_AS}", f"$KV.AGENTS.{_AS}"),
        *("brain.*.status", _HELD),
        *(f"chat.*.{verb}.{_AS}" for verb in ("message", "delta", "typing")),
        *_taking(f"agent-{_AS}"),
        *_taking("daena-vp"),
        *_reading(_EVENTS),
    ]
    return publish, ["live.chat.*.>", "live.session.*.>", "$SRV.>", f"svc.{_AS}.>"]


def _up(layout: Layout) -> tuple[list[str], list[str]]:
    """Both at once: `mesh up` serves API and edge in one process."""
    api, edge = _api(layout), _edge(layout)
    return [*api[0], *edge[0]], [*api[1], *edge[1]]


def _ops(layout: Layout) -> tuple[list[str], list[str]]:
    every = (*_EVENTS, "ASKS", *_BUCKETS)
    publish = [
        *(f"$SRV.{verb}" for verb in _DISCOVERY),
        *(f"$SRV.{verb}.>" for verb in _DISCOVERY),
        *("$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"),
        *_reading(every),
        *(f"$JS.API.DIRECT.GET.{stream}.>" for stream in every),
        *(f"$JS.API.CONSUMER.{verb}.{stream}" for stream in every for verb in ("NAMES", "LIST")),
        *(f"$JS.API.CONSUMER.INFO.{stream}.*" for stream in every),
        # What `nats stream view` reads with; of ASKS it would take questions away.
        *(f"$JS.API.CONSUMER.CREATE.{stream}.>" for stream in every if stream != "ASKS"),
        *(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*" for stream in every if stream != "ASKS"),
        *(f"$JS.ACK.{stream}.>" for stream in every if stream != "ASKS"),
    ]
    subscribe = [
        *(subject for stream in layout.streams for subject in layout.subjects(stream)),
        *("live.>", "ask.>", "svc.>", "mesh.>", "$KV.>", "$SRV.>", "$JS.EVENT.>"),
    ]
    return publish, subscribe


def _taking(consumer: str) -> list[str]:
    """How questions are taken from a consumer, and settled."""
    return [f"$JS.API.CONSUMER.MSG.NEXT.ASKS.{consumer}", f"$JS.ACK.ASKS.{consumer}.>"]


def _reading(streams: Iterable[str]) -> list[str]:
    verbs = ("STREAM.INFO", "STREAM.MSG.GET", "DIRECT.GET")
    return [f"$JS.API.{verb}.{stream}" for stream in streams for verb in verbs]
