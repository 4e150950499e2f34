"""A publisher for benches: events through JetStream at a rate, acknowledged but not waited for.

Run as a program it connects to NATS, takes commands as lines on standard input, answers each with a JSON object on a
line, and ends with its standard input::

    python -m mesh_cli.bench.publisher NATS_PORT TOPICS PREFIX

    publish COUNT RATE UNACKNOWLEDGED   publish COUNT events in turn to the agents PREFIX0000 … at RATE a second,
                                        with at most UNACKNOWLEDGED under way; answers when all were acknowledged

It writes the lines of the protocol itself, because on its core it has to leave time to nats-server and to the
load generator. What it writes is what the SDK would: a header with ``Nats-Msg-Id``, a reply subject for the
acknowledgement, and an event of about 250 bytes, in which the load generator finds its number on its topic and when it
was published.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time

import msgspec

from daena_mesh.ids import now, uuid7

PREFIX = "b"
SUBJECT = "agent.{agent}.activity"
_TICK_S = 0.001
_READ_BYTES = 262_144
_ACKED_WITHIN_S = 20.0
_INBOX = b"_INBOX.bench."
_HEAD = b"NATS/1.0\r\nNats-Msg-Id: %b%016x\r\n\r\n"
_BODY = (
    b'{"event_type":"agent.activity","payload":{"agent_id":"%b","activity":{"bench":"%016d.%016d",'
    b'"state":"searching"}},"id":"%b%06d","timestamp":"%b","source":"bench"}'
)


class Published(msgspec.Struct, kw_only=True):
    """What came of one ``publish``."""

    sent: int
    acked: int
    seconds: float
    """From the first event to the last acknowledgement."""
    longest_ack_ms: float
    """The longest that an acknowledgement took: how long publishers stalled."""
    late_ms: float
    """How far behind its rate it was at worst."""
    cpu_seconds: float


def agent(topic: int, prefix: str = PREFIX) -> str:
    """Name the agent that a topic is of."""
    return f"{prefix}{topic:04}"


class Publisher:
    """One connection to NATS that publishes in turn to a number of topics."""

    def __init__(self, port: int, topics: int, prefix: str = PREFIX) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(
            b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"name":"bench"}\r\n'
            b"SUB %b* 1\r\n" % _INBOX
        )
        self._socket.setblocking(False)
        self._agents = [agent(topic, prefix).encode() for topic in range(topics)]
        self._subjects = [SUBJECT.format(agent=name.decode()).encode() for name in self._agents]
        self._run = os.urandom(8).hex().encode()
        self._next = 0
        self._rest = b""
        self._unsent = b""
        self._sent_at: dict[int, float] = {}
        self._answered = -1
        self._longest_ack_s = 0.0

    def publish(self, count: int, rate: float, most_unacknowledged: int) -> Published:
        """Publish ``count`` events at ``rate`` a second, and wait for all acknowledgements, but not for ever."""
        self._longest_ack_s = late_s = 0.0
        began, began_cpu = time.perf_counter(), time.process_time()
        sent = 0
        while sent < count:
            at = time.perf_counter()
            due = min(count, int((at - began) * rate) + 1)
            room = most_unacknowledged - len(self._sent_at)
            if (batch := min(due - sent, room)) > 0:
                late_s = max(late_s, at - began - sent / rate)
                self._write(batch)
                sent += batch
            self._turn()
        deadline = time.perf_counter() + _ACKED_WITHIN_S
        while self._sent_at and time.perf_counter() < deadline:
            self._turn()
        result = Published(
            sent=sent,
            acked=sent - len(self._sent_at),
            seconds=time.perf_counter() - began,
            longest_ack_ms=self._longest_ack_s * 1e3,
            late_ms=late_s * 1e3,
            cpu_seconds=time.process_time() - began_cpu,
        )
        self._sent_at.clear()
        return result

    def _write(self, batch: int) -> None:
        topics = len(self._agents)
        first_id, timestamp = uuid7().encode()[:-6], now().encode()
        at, parts = time.perf_counter(), []
        for number in range(self._next, self._next + batch):
            topic = number % topics
            body = _BODY % (
                self._agents[topic],
                number // topics + 1,
                time.monotonic_ns() // 1_000,
                first_id,
                number % 1_000_000,
                timestamp,
            )
            head = _HEAD % (self._run, number)
            parts.append(
                b"HPUB %b %b%d %d %d\r\n%b%b\r\n"
                % (self._subjects[topic], _INBOX, number, len(head), len(head) + len(body), head, body)
            )
            self._sent_at[number] = at
        self._next += batch
        self._unsent += b"".join(parts)

    def _turn(self) -> None:
        """Send what there is, and take the acknowledgements that came in the next tick."""
        if self._unsent:
            with contextlib.suppress(BlockingIOError):
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        time.sleep(_TICK_S)
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("NATS has closed the connection")
        at = time.perf_counter()
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        for line in lines:
            if line.startswith(b"MSG " + _INBOX):
                number = int(line[4 + len(_INBOX) : line.index(b" ", 4)])
                asked_at = self._sent_at.get(number)
                if asked_at is not None:
                    self._longest_ack_s = max(self._longest_ack_s, at - asked_at)
                    self._answered = number
            elif line.startswith(b'{"stream"'):
                self._sent_at.pop(self._answered, None)
            elif line.startswith((b"{", b"-ERR", b"HMSG")):
                raise ConnectionError(f"NATS refuses an event: {line.decode(errors='replace')}")
            elif line == b"PING":
                self._unsent += b"PONG\r\n"


def main() -> None:
    """Obey until standard input ends."""
    publisher = Publisher(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    for line in sys.stdin:
        _verb, count, rate, most_unacknowledged = line.split()
        result = publisher.publish(int(count), float(rate), int(most_unacknowledged))
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
