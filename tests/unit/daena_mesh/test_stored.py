from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.stored import Kind, Stored, kind_of, read_direct, read_live, status_of

STREAMS = {b"Nats-Stream: RECORDS": "RECORDS"}
SUBJECT = b"chat.s1.message"
TIME = b"2026-01-02T03:04:05.678901Z"


def block(*lines: bytes) -> bytes:
    return b"".join(line + b"\r\n" for line in (b"NATS/1.0", *lines)) + b"\r\n"


def republished(
    *, own: tuple[bytes, ...] = (), seq: bytes = b"7", last: bytes = b"5", stream: bytes = b"RECORDS"
) -> bytes:
    """Make the header block with which nats-server republishes a message."""
    return block(
        *own,
        b"Nats-Stream: " + stream,
        b"Nats-Subject: " + SUBJECT,
        b"Nats-Sequence: " + seq,
        b"Nats-Time-Stamp: " + TIME,
        b"Nats-Last-Sequence: " + last,
    )


def live(headers: bytes, *, subject: bytes = b"live." + SUBJECT, reply: bytes = b"") -> Stored | None:
    return read_live(STREAMS, subject, reply, headers, b"body")


def test_what_the_server_republished_is_read() -> None:
    message = live(republished(own=(b"Nats-Msg-Id: m1",)))
    assert message == Stored("RECORDS", SUBJECT, 7, 5, TIME, b"NATS/1.0\r\nNats-Msg-Id: m1", b"body")
    assert message is not None
    assert message.msg_id == b"m1"


def test_of_repeated_headers_the_servers_count() -> None:
    forged = (
        b"Nats-Stream: RECORDS",
        b"Nats-Subject: chat.x.message",
        b"Nats-Sequence: 999",
        b"Nats-Last-Sequence: 998",
    )
    message = live(republished(own=forged))
    assert message is not None
    assert (message.subject, message.seq, message.previous) == (SUBJECT, 7, 5)


FORGED = {
    "no headers": b"",
    "a status": b"NATS/1.0 503\r\n\r\n",
    "an empty block": b"NATS/1.0\r\n\r\n",
    "a stream that is not followed": republished(stream=b"SIGNALS"),
    "another subject": republished().replace(SUBJECT, b"chat.s2.message"),
    "a sequence that is none": republished(seq=b"seven"),
    "a previous sequence that is none": republished(last=b"-"),
    "a sequence without end": republished(seq=b"9" * 5_000),
    "one header more at the end": republished()[:-2] + b"Mine: 1\r\n\r\n",
    "another order": block(
        *(b"Nats-Subject: " + SUBJECT, b"Nats-Stream: RECORDS", b"Nats-Sequence: 7"),
        *(b"Nats-Time-Stamp: " + TIME, b"Nats-Last-Sequence: 5"),
    ),
    "a message of Direct Get": block(
        *(b"Nats-Stream: RECORDS", b"Nats-Subject: " + SUBJECT, b"Nats-Sequence: 7", b"Nats-Time-Stamp: " + TIME)
    ),
    "a message of a batch of Direct Get": block(
        *(b"Nats-Stream: RECORDS", b"Nats-Subject: " + SUBJECT, b"Nats-Sequence: 7", b"Nats-Time-Stamp: " + TIME),
        *(b"Nats-Num-Pending: 0", b"Nats-Last-Sequence: 5"),
    ),
    "a message of Direct Get with forged headers of its own": block(
        *(b"Nats-Stream: RECORDS", b"Nats-Subject: " + SUBJECT, b"Nats-Sequence: 7"),
        *(
            b"Nats-Stream: RECORDS",
            b"Nats-Subject: agent.me.activity",
            b"Nats-Sequence: 3",
            b"Nats-Time-Stamp: " + TIME,
        ),
    ),
    "no final line": republished()[:-2],
    "small letters": republished().replace(b"Nats-Stream", b"nats-stream"),
}


@pytest.mark.promise("P-FORGED-1")
@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_what_the_server_did_not_republish_is_refused(headers: bytes) -> None:
    assert live(headers) is None


@pytest.mark.promise("P-FORGED-1")
def test_a_reply_and_a_subject_elsewhere_are_refused() -> None:
    assert live(republished(), reply=b"_INBOX.x") is None
    assert live(republished(), subject=SUBJECT) is None
    assert live(republished(), subject=b"live.chat.s2.message") is None
    assert live(republished(), subject=b"evil." + SUBJECT) is None


@given(st.binary(max_size=60) | st.lists(st.sampled_from(republished().split(b"\r\n")), max_size=10).map(b"\r\n".join))
def test_reading_never_fails(headers: bytes) -> None:
    for text in (headers, b"NATS/1.0\r\n" + headers + b"\r\n\r\n"):
        message = live(text)
        assert message is None or (message.stream == "RECORDS" and message.subject == SUBJECT)


def test_a_message_of_a_batch_is_read_with_what_is_pending() -> None:
    headers = FORGED["a message of a batch of Direct Get"]
    read = read_direct("RECORDS", headers, b"body")
    assert read == (Stored("RECORDS", SUBJECT, 7, 5, TIME, b"NATS/1.0", b"body"), 0)
    assert read_direct("SIGNALS", headers, b"body") is None
    assert read_direct("RECORDS", republished(), b"body") is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"NATS/1.0 204 EOB\r\n\r\n", 204),
        (b"NATS/1.0 404 Not Found\r\n\r\n", 404),
        (b"NATS/1.0\r\n\r\n", 0),
        (b"", 0),
        (b"NATS/1.0 x", 0),
    ],
)
def test_a_reply_without_a_message_has_a_status(headers: bytes, status: int) -> None:
    assert status_of(headers) == status


@pytest.mark.parametrize(
    ("line", "msg_id"),
    [
        (b"Nats-Msg-Id: 01a2-x", b"01a2-x"),
        (b"nats-msg-id:x", b"x"),
        (b'Nats-Msg-Id: "quoted"', None),
        (b"Nats-Msg-Id: back\\slash", None),
        (b"Nats-Msg-Id: \xc3\xa4", None),
        (b"Nats-Msg-Id: " + b"x" * 129, None),
        (b"Not-Nats-Msg-Id: x", None),
        (b"Nats-Msg-Id:", None),
    ],
)
def test_only_an_id_that_can_stand_in_json_as_it_is_counts(line: bytes, msg_id: bytes | None) -> None:
    assert Stored("RECORDS", SUBJECT, 1, 0, TIME, b"NATS/1.0\r\n" + line, b"").msg_id == msg_id


def test_a_subject_off_the_grammar_has_no_kind() -> None:
    assert kind_of(SUBJECT) == Kind("chat.s1.message", "chat.message")
    for strange in (
        b"chat.s1",
        b"mesh.epoch.RECORDS",
        b"chat.s\xc3\xa4.message",
        b"chat.\xff.message",
        b"chat.%s.message" % (b"x" * 65),
    ):
        assert kind_of(strange) is None
