"""The settings of an edge."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from daena_mesh.origin import OriginSettings


class EdgeSettings(OriginSettings, frozen=True, kw_only=True):
    """What an edge reads from ``MESH_…`` variables."""

    edge_id: Annotated[str, Meta(description="The name of this edge; empty: a random one.")] = ""
    token_in_query: Annotated[
        bool, Meta(description="A token may also come as `?token=`, which proxies and access logs write down.")
    ] = False
    auth_within_s: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="How long a WebSocket without a token may take to send one as its first message, in seconds; "
            "0: it is closed at once.",
        ),
    ] = 5.0
    handshakes_per_s: Annotated[
        float,
        Meta(
            gt=0,
            description="How many WebSockets may be opened in a second, after a burst of twice as many; then 429.",
        ),
    ] = 1_000.0
    sockets_per_address: Annotated[
        int, Meta(ge=0, description="How many sockets one address may have on an edge; 0: as many as it likes.")
    ] = 0
    sockets_per_user: Annotated[
        int, Meta(ge=0, description="How many sockets one user, by the token's `sub`, may have on an edge; 0: any.")
    ] = 0
    linger_s: Annotated[
        float, Meta(ge=0, le=3_600, description="How long a topic is followed after its last socket left, in seconds.")
    ] = 5.0
    frame_bytes: Annotated[
        int, Meta(ge=126, le=16_777_216, description="The largest message that a client may send, in bytes.")
    ] = 65_536
    behind_bytes: Annotated[
        int,
        Meta(ge=1_024, description="What is buffered for a slow reader before it follows the log, in bytes."),
    ] = 65_536
    topics_per_socket: Annotated[
        int, Meta(ge=1, le=10_000, description="How many topics one socket of /ws may follow.")
    ] = 256
    stuck_s: Annotated[
        float, Meta(ge=1, description="After how long without any progress a slow reader is closed, in seconds.")
    ] = 60.0
    keepalive_s: Annotated[
        float,
        Meta(ge=1, description="The pause between WebSocket pings, in seconds; a peer silent for thrice that is dead."),
    ] = 15.0
    audit_s: Annotated[
        float, Meta(ge=1, description="The pause between two audits of a topic against the log, in seconds.")
    ] = 15.0
    drain_s: Annotated[
        float, Meta(ge=0, le=600, description="Over how long sockets are sent away when an edge stops, in seconds.")
    ] = 2.0
    open_write: Annotated[
        str,
        Meta(description="What clients may send that have no token: patterns of subjects, separated by commas."),
    ] = "chat.*.message,chat.*.typing"
    messages_per_s: Annotated[
        float, Meta(gt=0, le=100_000, description="How many messages a client may write in a second, all in all.")
    ] = 100.0
    presence_linger_s: Annotated[
        float, Meta(ge=0, le=60, description="How long after their last socket a user is still present, in seconds.")
    ] = 2.0
