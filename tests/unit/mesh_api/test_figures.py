"""What two looks at the mesh say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_api.figures import apis_of, brains_of, edges_of, latency_of, nodes_of, quantile, streams_of
from mesh_api.survey import (
    Cluster,
    EndpointStats,
    Member,
    Peer,
    Server,
    StreamConfig,
    StreamInfo,
    StreamState,
    Survey,
)

HERE = Server("n1", "2.15.1", "c")


def edge(requests: int, *, started: str = "t0", **data: Any) -> Member:
    metadata = {"edge": "edge-1", "host": "h"}
    return Member("mesh-edge", "e1", "0.1", started, metadata, (EndpointStats("deliveries", requests, data=data),))


def survey(at: float, *members: Member, **streams: StreamInfo | None) -> Survey:
    return Survey(at, list(members), streams, HERE)


def test_rates_are_those_between_two_looks() -> None:
    now, before = survey(12, edge(500, sockets=3, topics=2)), survey(10, edge(100))
    (found,) = edges_of(now, before)
    assert (found.edge_id, found.host, found.sockets, found.topics) == ("edge-1", "h", 3, 2)
    assert (found.deliveries, found.deliveries_per_s) == (500, 200.0)
    assert edges_of(now, None)[0].deliveries_per_s is None


@pytest.mark.parametrize("before", [edge(100, started="earlier"), edge(900), Member("mesh-edge", "e1", started="t0")])
def test_a_process_that_began_anew_has_no_rate_yet(before: Member) -> None:
    (found,) = edges_of(survey(12, edge(500)), survey(10, before))
    assert found.deliveries_per_s is None


def test_apis_and_brains_are_told_apart_from_edges() -> None:
    api = Member("mesh-api", "a1", endpoints=(EndpointStats("http", 10, 2, 1_500_000),))
    said = {"state": "online", "model": "m", "answering": 1}
    brain = Member("mesh-brain", "b1", metadata={"brain": "local"}, endpoints=(EndpointStats("c", 4, data=said),))
    now = survey(1, api, brain, edge(1), Member("mesh-api", "silent"))
    (found,) = apis_of(now, None)
    assert (found.instance, found.requests, found.errors, found.average_ms) == ("a1", 10, 2, 1.5)
    (told,) = brains_of(now)
    assert (told.brain_id, told.answers, told.answering, told.state, told.model) == ("local", 4, 1, "online", "m")


@pytest.mark.parametrize("value", [None, "9", [], {"a": 1}, True])
def test_what_a_process_says_of_itself_may_be_anything(value: Any) -> None:
    (found,) = edges_of(survey(1, edge(1, sockets=value, topics=value, refused=value, latency=value)), None)
    assert found.latency is None
    assert isinstance(found.sockets, int)


def test_a_stream_tells_its_limits_its_rate_and_its_copies() -> None:
    peers = (Peer("n2", current=True), Peer("n3", offline=True, lag=7))
    info = StreamInfo(
        config=StreamConfig(max_age=2_000_000_000, max_bytes=-1, storage="file"),
        state=StreamState(messages=5, bytes=50, first_ts="a", last_ts="b", last_seq=30),
        cluster=Cluster("c", "n1", peers),
    )
    before = StreamInfo(state=StreamState(last_seq=10))
    now = survey(4, RECORDS=info, SIGNALS=None)
    (found,) = streams_of(now, survey(0, RECORDS=before, SIGNALS=before))
    assert (found.max_age_s, found.max_bytes, found.stored_per_s) == (2.0, None, 5.0)
    copies = [(copy.node, copy.leads, copy.lag) for copy in found.copies]
    assert copies == [("n1", True, 0), ("n2", False, 0), ("n3", False, 7)]
    nodes = nodes_of(now, [found])
    assert [
        (node.name, node.version, node.leads, node.follows, node.current, node.offline, node.lag) for node in nodes
    ] == [
        ("n1", "2.15.1", ["RECORDS"], [], True, False, 0),
        ("n2", None, [], ["RECORDS"], True, False, 0),
        ("n3", None, [], ["RECORDS"], False, True, 7),
    ]


def test_a_server_that_is_alone_leads_all_there_is() -> None:
    now = survey(0, RECORDS=StreamInfo())
    (found,) = streams_of(now, None)
    assert found.first_at is None
    assert [(node.name, node.leads) for node in nodes_of(now, [found])] == [("n1", ["RECORDS"])]
    assert [node.name for node in nodes_of(survey(0), [])] == ["n1"]


def test_latency_is_of_the_time_since_the_look_before_or_of_all_where_nothing_came() -> None:
    def told(*counts: int) -> dict[str, Any]:
        return {"bounds_s": [0.001, 0.01], "counts": list(counts)}

    assert latency_of(told(0, 0, 0), None) is None
    slow = latency_of(told(100, 10, 0), told(100, 0, 0))
    assert slow is not None
    assert (slow.samples, slow.p50_ms, slow.is_recent) == (10, 5.5, True)
    every = latency_of(told(100, 0, 0), told(100, 0, 0))
    assert every is not None
    assert (every.samples, every.p50_ms, every.is_recent) == (100, 0.5, False)
    anew = latency_of(told(4, 0, 0), told(100, 0, 0))
    assert anew is not None
    assert anew.samples == 4
    assert latency_of({"bounds_s": [1], "counts": ["x", 1]}, None) is None
    assert latency_of({"bounds_s": [1], "counts": [1]}, None) is None


@given(counts=st.lists(st.integers(0, 50), min_size=4, max_size=4), share=st.floats(0, 1))
def test_a_quantile_lies_in_the_bucket_where_it_belongs(counts: list[int], share: float) -> None:
    bounds = [0.1, 0.2, 0.4]
    found = quantile(bounds, counts, share)
    assert 0 <= found <= bounds[-1]
    below = sum(count for bound, count in zip(bounds, counts, strict=False) if bound < found)
    assert below <= share * sum(counts) + 1e-9
