"""The log of a nats-server, read for what it refused: lines as nats-server 2.15 writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mesh_cli.denials import UNKNOWN, Denial, Denials, Tail, denial_in
from mesh_cli.system_tail import is_of_the_servers, system_json, system_line
from mesh_cli.watchman import notice

KEY = "UAW3WBVGBKIYF7UX47PQOOW4SC445INH7LDGXPXKUJXOBMETRCT4GZIH"
ACCOUNT = "ADRXL5K2Z2ZO6RBQ6K7LC462FA4FT6O5GXKFOTN77VJWX6GE6D53GZYT"
HEAD = "[25021] 2026/11/27 00:41:09.296256 [ERR] 127.0.0.1:49270 - cid:6"


def line(what: str, client: str = "v2.16.0:python3:mine", key: str = KEY) -> str:
    return f'{HEAD} - "{client}" - "{ACCOUNT}/MESH/jwt:{key}" - {what}'


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (line('Publish Violation - Subject "agent.b.status"'), Denial("scout", "publish", "agent.b.status")),
        (line('Subscription Violation - Subject "live.>", SID 1'), Denial("scout", "subscribe", "live.>")),
        (line('Subscription Violation - Subject "a", Queue: "q", SID 1'), Denial("scout", "subscribe", "a")),
        (line('Publish Violation - Subject "x"', key="UOTHER"), Denial(UNKNOWN, "publish", "x")),
        (f"{HEAD} - authentication error", Denial(UNKNOWN, "connect", "")),
        (f'{HEAD} - "v1:go" - authentication error - Nkey "U"', Denial(UNKNOWN, "connect", "")),
        (line("Slow Consumer Detected"), None),
        ("[1] 2026/11/27 00:41:09.2 [INF] Server is ready", None),
        ("", None),
    ],
)
def test_a_line_is_read(said: str, found: Denial | None) -> None:
    assert denial_in(said, {KEY: "scout"}) == found


def test_the_name_of_a_client_forges_nothing() -> None:
    forged = rf"x\" - \"A/B/jwt:{KEY}\" - Publish Violation - Subject \"forged\"\r\n[1] {HEAD} - authentication error"
    said = line(r'Publish Violation - Subject "agent.\"b\".x\x1b[2J"', client=forged, key="UOTHER")
    found = denial_in(said, {KEY: "scout"})
    assert found == Denial(UNKNOWN, "publish", r"agent.\"b\".x\x1b[2J")
    assert denial_in(line("Slow Consumer Detected", client=forged), {KEY: "scout"}) is None


def test_all_are_counted_and_one_of_a_kind_is_told() -> None:
    denials = Denials()
    denials.note(Denial("scout", "publish", f"agent.{number}.status") for number in range(100))
    denials.note([Denial("other", "connect", "")])
    assert denials.take(1) == [(Denial("scout", "publish", "agent.99.status"), 100)]
    assert denials.take(8) == [(Denial("other", "connect", ""), 1)]
    assert denials.take(8) == []
    assert dict(denials.total) == {"publish": 100, "subscribe": 0, "connect": 1}
    assert (("kind", "publish"),) in dict(denials.metric().samples)


def test_a_notice_says_it_to_people_and_programs() -> None:
    assert notice(Denial("scout", "publish", "agent.b.status"), 3) == {
        "text": "NATS refused scout to publish on agent.b.status, 3 times",
        "level": "warning",
        "user": "scout",
        "kind": "publish",
        "subject": "agent.b.status",
        "count": 3,
    }


def test_a_log_is_followed_from_its_end_over_being_put_away(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    tail = Tail(path)
    try:
        assert tail.read() == []
        with path.open("a") as log:
            log.write("one\ntw")
        assert tail.read() == ["one"]
        with path.open("a") as log:
            log.write("o\nthree\n")
        path.rename(tmp_path / "log.1")
        assert tail.read() == ["two", "three"]
        path.write_text("four\n")
        assert tail.read() == ["four"]
        with path.open("a") as log:
            log.write("flood\n" * 1_000_000 + "last\n")
        assert tail.read()[-1] == "last"
        assert tail.read() == []
    finally:
        tail.close()


def test_a_log_that_is_not_there_yet_is_read_from_its_beginning(tmp_path: Path) -> None:
    tail = Tail(tmp_path / "log")
    assert tail.read() == []
    (tmp_path / "log").write_text("first\n")
    assert tail.read() == ["first"]
    tail.close()


def test_what_servers_say_reaches_no_terminal_as_a_command() -> None:
    assert is_of_the_servers("$SYS.>")
    assert not is_of_the_servers("chat.$SYS.>")
    body = '{"name":"a\x1b[2J\u202e"}'.encode()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert system_line(b"$SYS.X", body, at).plain == r'00:00:00  $SYS.X  {"name":"a\x1b[2J\u202e"}'
    assert json.loads(system_json(b"$SYS.X", body)) == {"subject": "$SYS.X", "data": body.decode()}
    assert system_json(b"$SYS.X", '{"a":"\u202e"}'.encode()).isascii()
    assert json.loads(system_json(b"$SYS.X", b"\xff"))["data"] == "\ufffd"
