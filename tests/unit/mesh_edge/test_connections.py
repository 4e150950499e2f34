from __future__ import annotations

from mesh_edge.connections import Connection, Page, joined


def page(*ids: str, count: int = 0, more: bool = False) -> Page:
    found = [
        Connection(
            socket_id=ident,
            edge="e",
            route="/ws/events",
            connection_ids=["events"],
            user=None,
            address="127.0.0.1:1",
            user_agent="",
            connected_since="",
            last_seen="",
            is_behind=False,
            buffered_bytes=0,
            metadata={},
        )
        for ident in ids
    ]
    return Page(count or len(ids), found, ids[-1] if more else None)


def ids(of: Page) -> list[str]:
    return [one.socket_id for one in of.connections]


def test_pages_of_several_processes_are_one_in_order() -> None:
    whole = joined([page("b", "d"), None, page("a", "c")], limit=10)
    assert (ids(whole), whole.count, whole.next) == (["a", "b", "c", "d"], 4, None)


def test_what_does_not_fit_comes_with_the_next_page() -> None:
    whole = joined([page("b", "d", count=2), page("a", "c", count=9, more=True)], limit=2)
    assert (ids(whole), whole.count, whole.next) == (["a", "b"], 11, "b")


def test_pages_that_are_whole_may_be_too_much_together() -> None:
    whole = joined([page("b", "d"), page("a", "c")], limit=3)
    assert (ids(whole), whole.count, whole.next) == (["a", "b", "c"], 4, "c")


def test_one_has_more_behind_what_fits_exactly() -> None:
    whole = joined([page("a", "b", count=3, more=True)], limit=2)
    assert (ids(whole), whole.next) == (["a", "b"], "b")


def test_nobody_is_an_empty_page() -> None:
    whole = joined([page(), page()], limit=2)
    assert (ids(whole), whole.count, whole.next) == ([], 0, None)
