"""The costs that `mesh plan` takes where it is given no outcome of its own.

They are fitted to the outcome of `FROM` in bench/results; a test compares them and shows what differs. Who takes a
newer one changes both, and looks at what `mesh plan --trial` says of it.
"""

from __future__ import annotations

from mesh_cli.capacity.costs import Costs

FROM = "2026-11-26"
KEPT = Costs(
    turn_us=39.588,
    write_us=8.0109,
    crowded_us=3.1298,
    frame_us=0.041992,
    event_us=11.956,
    append_us=35.6,
    trip_us=218.16,
    synced_append_us=238.58,
    synced_trip_us=232.35,
    path_us=118.6,
    late_path_us=247.88,
    read_us=9.3473,
    call_us=156.56,
    nats_us=16.76,
    connect_us=644.46,
    resume_us=17.856,
    socket_kb=2.0225,
    topic_kb=2.8583,
)
