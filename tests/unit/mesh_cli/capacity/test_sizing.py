"""What a mesh of some size needs, and what ends first."""

from __future__ import annotations

import msgspec
import pytest

from mesh_cli.capacity.kept import KEPT
from mesh_cli.capacity.sizing import Sizing, Want, spread
from mesh_cli.capacity.walls import walls

MILLION = Want(sockets=1_000_000, events=100_000, readers=10)


def sized(**other: float) -> Sizing:
    return Sizing(msgspec.structs.replace(MILLION, **other), KEPT)


@pytest.mark.parametrize(("places", "members", "on"), [(1, 5, 1), (4, 1, 1), (2, 2, 1.5), (10, 1e6, 10)])
def test_members_at_random_are_on_so_many_places(places: float, members: float, on: float) -> None:
    assert spread(places, members) == pytest.approx(on)


def test_edges_are_the_fewest_that_are_not_too_busy() -> None:
    sizing = sized(back_s=1e6)
    edges = sizing.edges
    assert sizing.run.busy + sizing.keepalive(edges) <= MILLION.busy
    assert sizing.run.busy + sizing.keepalive(edges) > 0.9 * MILLION.busy
    assert edges == sizing.edges_for_delivery


def test_a_small_mesh_needs_one_edge_and_a_stream_of_each() -> None:
    sizing = Sizing(Want(sockets=100, events=10, readers=10), KEPT)
    assert (sizing.edges, sizing.records_streams, sizing.signals_streams, sizing.nats_nodes) == (1, 1, 1, 3)
    assert all(wall.times < 1 for wall in walls(sizing))


def test_coming_back_in_half_the_time_takes_twice_the_edges() -> None:
    assert sized(back_s=10).edges_for_return == pytest.approx(2 * sized().edges_for_return, abs=1)


def test_sockets_and_topics_have_their_memory() -> None:
    sizing = sized(readers=1)
    assert sizing.memory_gb == pytest.approx(1e6 * (KEPT.socket_kb + KEPT.topic_kb) * 1_024 / 1e9)


def test_many_readers_of_an_event_share_what_it_costs() -> None:
    shared = sized(readers=1_000, events=1_000)
    assert shared.run.delivery_us < sized().run.delivery_us * 0.75


def test_leaf_nodes_take_work_and_bandwidth_from_the_nodes() -> None:
    assert sized(leaves=4).handed_on_mbit < sized().handed_on_mbit / 2
    assert sized(leaves=4).nats_cores < sized().nats_cores
    assert sized(leaves=4).leaf_cores > 0 == sized().leaf_cores


def test_the_first_wall_stands_first() -> None:
    found = walls(sized(records=1.0))
    assert found[0].name == "writes of one RECORDS"
    assert [wall.times for wall in found] == sorted((wall.times for wall in found), reverse=True)
    assert sized(records=1.0).records_streams * KEPT.records.most_a_second * MILLION.busy >= MILLION.events
