"""As whom one is present, and whose socket is the last one: without a network."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.errors import InvalidId
from daena_mesh.ids import uuid7
from daena_mesh.presence import Noted, Step
from mesh_edge.link import NOBODY, Visitor
from mesh_edge.presence import MOST_ROSTER_BYTES, Room, check_who


@pytest.mark.parametrize("name", ["ada", "Ada Lovelace", "Zoë", "ada@example.org", "x" * 64])
def test_a_name_that_can_be_seen_is_taken_where_nobody_authenticates(name: str) -> None:
    assert check_who(name, is_open=True) == name
    assert check_who(name, is_open=False) is None


@pytest.mark.parametrize("name", ["", " ", " ada", "ada\n", "x" * 65, "a\x00b", "a\u202eb", "a\u200bb"])
def test_others_are_refused(name: str) -> None:
    with pytest.raises(InvalidId, match="who"):
        check_who(name, is_open=True)
    assert check_who(name, is_open=False) is None
    assert check_who(None, is_open=True) is None


def test_a_token_counts_more_than_what_a_client_says_of_itself() -> None:
    assert NOBODY.present_as is None
    assert Visitor(who="").present_as is None
    assert Visitor(who="bob").present_as == "bob"
    assert Visitor(user="ada", who="bob").present_as == "ada"


@given(st.lists(st.tuples(st.sampled_from(("arrive", "depart", "forget")), st.sampled_from("abc")), max_size=40))
def test_a_user_is_there_from_the_first_socket_until_they_are_forgotten_after_the_last(
    moves: list[tuple[str, str]],
) -> None:
    room = Room()
    sockets: dict[str, int] = {}
    for move, who in moves:
        if move == "arrive":
            assert room.arrive(who)
            sockets[who] = sockets.get(who, 0) + 1
        elif move == "depart":
            assert room.depart(who) == (sockets.get(who) == 1)
            if sockets.get(who):
                sockets[who] -= 1
        else:
            assert room.forget(who) == (sockets.get(who) == 0)
            if sockets.get(who) == 0:
                del sockets[who]
        assert room.users == sockets
    for who in tuple(sockets):
        while sockets[who]:
            sockets[who] -= 1
            room.depart(who)
        assert room.forget(who)
    assert room.size_bytes == 0


def test_a_room_holds_no_more_than_can_be_written() -> None:
    room = Room()
    taken = sum(room.arrive(f"{number:06}" + "x" * 50) for number in range(5_000))
    assert 2_000 < taken < 4_000
    assert room.size_bytes <= MOST_ROSTER_BYTES
    assert room.arrive("000000" + "x" * 50)
    assert not room.arrive("somebody else")
    assert not room.depart("somebody else")


def test_what_a_room_holds_can_be_written_whatever_its_users_are_called() -> None:
    room, number = Room(), 0
    while room.arrive(f"{number}" + "\x01" * 250):  # a token may say so
        number += 1
    roster = {who: uuid7() for who in room.users}
    steps = tuple(Step("presence.join", who, life, 1_000) for who, life in roster.items())
    assert len(msgspec.json.encode(Noted(roster, steps))) < 1_000_000
