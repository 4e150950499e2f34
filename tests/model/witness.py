"""What one socket was shown, held against what was stored: a gapless suffix of the log, once and in order, or a gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from daena_mesh.cursors import Cursor, Positions
from daena_mesh.layout import LETTERS, STREAM_OF_LETTER
from daena_mesh.subjects import covers
from mesh_edge.topic_name import TopicName
from tests.model.streams import Entry, Stream

Frame = dict[str, Any]

_decode = msgspec.json.Decoder(Frame).decode


class Broken(AssertionError):
    """The edge broke a promise."""


class Gap(NamedTuple):
    """A gap that was told."""

    before: Cursor
    after: Cursor


class Witness:
    """Takes the bytes of one socket."""

    def __init__(self, name: str, topic: TopicName, streams: Mapping[str, Stream], since: Positions) -> None:
        """``streams`` are those that the topic follows."""
        self.name = name
        self.topic = topic
        self.since = since
        self.frames: list[Frame] = []
        self.has_left = False
        """Its client has unsubscribed, and was told so."""
        self.status = ""
        self.recovered = False
        self._streams = streams
        self._opened: dict[str, Cursor] = {}
        self._is_greeted = False
        self._base: dict[str, Cursor] = {}
        """For each stream the position behind which everything is owed."""
        self._newest: dict[str, Cursor] = {}
        self._shown: set[tuple[str, str, int]] = set()
        self._order: dict[tuple[str, str, str], int] = {}
        """The newest sequence that was shown of each subject."""
        self._gaps: dict[str, list[Gap]] = {stream: [] for stream in streams}

    @property
    def positions(self) -> Positions:
        """What its client would resume with."""
        return Positions(self._newest.values())

    def opened(self) -> None:
        """Its handshake is answered: whatever is stored from now on is owed to it."""
        self._opened = {
            name: Cursor(LETTERS[name], stream.epoch, stream.last_seq) for name, stream in self._streams.items()
        }

    def note(self, frame: Frame, place: str = "") -> None:
        """Take one frame in; ``place`` is the position that comes with a server-sent event. Raises `Broken`."""
        self._require(not self.has_left, f"is shown {frame} after it has left")
        self.frames.append(frame)
        self._take(frame)
        for cursor in Positions.parse(place).values() if place else ():
            stream = STREAM_OF_LETTER[cursor.letter]
            newest = self._newest[stream]
            self._require(cursor.epoch == newest.epoch, f"would resume from {cursor}, and is at {newest}")
            when = f"though it would resume from {cursor}"
            self._none_missing(stream, cursor.epoch, newest.seq, cursor.seq + 1, when=when)

    def _take(self, frame: Frame) -> None:
        kind = frame["event_type"]
        if kind == "connection":
            self._connection(frame["payload"])
        elif kind == "gap":
            self._gap(frame["payload"])
        elif "cursor" in frame:
            self._event(frame, Cursor.parse(frame["cursor"]))
        else:
            self._require(kind == "system.notice", f"is shown {frame}")
            self._require(self._is_greeted, "is shown a notice before it was greeted")

    # -- what may be shown --------------------------------------------------------------------------------------

    def _connection(self, payload: Frame) -> None:
        self.status = payload["status"]
        if self.status == "disconnected":  # it had unsubscribed
            self.has_left = True
            return
        self.recovered = payload["recovered"]
        if self.status == "degraded":
            self._require(not self.recovered and bool(payload["missing"]), f"is told {payload}")
            if "cursors" not in payload:
                if not self._is_greeted:
                    self._opened = {}  # the edge does not know where the log stands, and said so
                return
        cursors = {STREAM_OF_LETTER[letter]: Cursor.parse(text) for letter, text in payload["cursors"].items()}
        self._require(set(cursors) == set(self._streams), f"is greeted with {payload['cursors']}")
        for stream, cursor in cursors.items():
            self._require(
                (cursor.epoch, cursor.seq) in self._streams[stream].history or cursor.seq == 0 or self._is_end(cursor),
                f"is greeted with {cursor}, which never was",
            )
            before = self._newest.get(stream)
            if not self._is_greeted and before is None:  # no gap was told
                asked = self.since.get(LETTERS[stream])
                if asked is None:
                    opened = self._opened.get(stream, cursor)
                    asked = cursor if opened.epoch != cursor.epoch else min(cursor, opened)
                self._base[stream] = before = asked
                self._require(before.epoch == cursor.epoch, f"asked for {asked}, is greeted with {cursor}, told no gap")
            if before is None or before.epoch != cursor.epoch:
                self._require(False, f"is greeted with {cursor} after {before}, without a gap")
            elif before.seq < cursor.seq:
                self._none_missing(stream, cursor.epoch, before.seq, cursor.seq + 1, when=f"before it is at {cursor}")
                self._newest[stream] = cursor
            else:
                self._newest[stream] = before
        self._is_greeted = True

    def _is_end(self, cursor: Cursor) -> bool:
        return cursor.seq <= self._streams[STREAM_OF_LETTER[cursor.letter]].last_seq

    def _gap(self, payload: Frame) -> None:
        before, after = Cursor.parse(payload["from"]), Cursor.parse(payload["to"])
        stream = STREAM_OF_LETTER[after.letter]
        log = self._streams[stream]
        if payload["reason"] == "reset":
            is_true = before.epoch != after.epoch or before.seq > after.seq
        else:
            is_true = before.epoch == after.epoch and before.seq < after.seq
        self._require(is_true, f"is told of a gap from {before} to {after}, {payload['reason']}")
        self._require((after.epoch, after.seq) in log.history, f"is told of a gap up to {after}, which never was")
        self._none_before_gap(stream, before, after)
        self._gaps[stream].append(Gap(before, after))
        self._newest[stream] = self._base[stream] = after

    def _none_before_gap(self, stream: str, before: Cursor, after: Cursor) -> None:
        """A gap that begins behind where the socket stands would hide what lies between."""
        stood = self._newest.get(stream, self.since.get(LETTERS[stream]))
        if stood is None:  # it asked for nothing: there was a new life of the stream while it came in
            self._require(before.epoch != after.epoch, f"is told of a gap from {before} to {after}")
        elif stream not in self._base:
            self._require(before == stood, f"is told of a gap from {before} to {after}, though it asked for {stood}")
        elif stood.epoch == before.epoch:
            told = f"before it is told of a gap from {before} to {after}"
            self._none_missing(stream, before.epoch, stood.seq, before.seq + 1, when=told)

    def _event(self, frame: Frame, cursor: Cursor) -> None:
        self._require(self._is_greeted, f"is shown {cursor} before it was greeted")
        stream = STREAM_OF_LETTER[cursor.letter]
        entry = self._streams[stream].history.get((cursor.epoch, cursor.seq))
        if entry is None:
            raise Broken(f"{self.name} is shown {cursor}, which was never stored")
        self._require(self._is_mine(entry), f"is shown {cursor}, which is no event of its topic")
        self._require(frame["subject"] == entry.subject, f"is shown {cursor} as {frame['subject']}")
        self._require(frame["payload"]["n"] == _number(entry), f"is shown {cursor} with another's payload")
        self._require(frame["topic"] == self.topic.name, f"is shown {cursor} on {frame['topic']}")
        key = (stream, cursor.epoch, cursor.seq)
        self._require(key not in self._shown, f"is shown {cursor} twice")
        base, newest = self._base[stream], self._newest[stream]
        self._require(base.epoch == cursor.epoch, f"is shown {cursor}, but follows from {base} on")
        # What the log does not hold any more cannot be known to lie behind where the client is.
        is_owed = base.seq < cursor.seq or entry.gone != ""
        self._require(is_owed, f"is shown {cursor}, though it begins behind {base}")
        subject = (stream, cursor.epoch, entry.subject)
        in_order = self._order.get(subject, 0) < cursor.seq
        self._require(in_order, f"is shown {cursor} after a later one of its subject")
        if cursor.seq <= base.seq:
            pass
        elif cursor.seq < newest.seq:
            self._require(entry.disturbed and ">" not in self.topic.patterns, f"is shown {cursor} after {newest}")
            self._require("prev" not in frame, f"is shown {cursor} late, with prev {frame.get('prev')}")
        else:
            when = f"before it is shown {cursor}"
            self._none_missing(stream, cursor.epoch, newest.seq, cursor.seq, when=when, shown=entry)
            if "prev" in frame:
                self._chained(cursor, Cursor.parse(frame["prev"]), newest)
            self._newest[stream] = cursor
        self._shown.add(key)
        self._order[subject] = max(cursor.seq, self._order.get(subject, 0))

    def _chained(self, cursor: Cursor, prev: Cursor, newest: Cursor) -> None:
        said = f"is shown {cursor} with prev {prev} after {newest}"
        self._require(prev.epoch == cursor.epoch and prev.seq <= newest.seq, said)
        skipped = [
            seq
            for (stream, epoch, seq) in self._shown
            if stream == STREAM_OF_LETTER[cursor.letter] and epoch == cursor.epoch and prev.seq < seq < cursor.seq
        ]
        history = self._streams[STREAM_OF_LETTER[cursor.letter]].history
        self._require(all(history[cursor.epoch, seq].disturbed for seq in skipped), f"{said}, which skips {skipped}")

    # -- what must be shown -------------------------------------------------------------------------------------

    def unseen(self, stream: str, epoch: str, after: int, until: int) -> Iterator[Entry]:
        """Give what is owed between two sequences, both excluded, and was neither shown nor told as a gap."""
        history = self._streams[stream].history
        base = self._base[stream]
        for seq in range(max(after, base.seq if base.epoch == epoch else 0) + 1, until):
            entry = history.get((epoch, seq))
            if (
                entry is not None
                and self._is_mine(entry)
                and entry.gone not in {"ttl", "purge"}
                and not (entry.gone == "limit" and entry.disturbed)  # it was lost, and then nobody could look for it
                and (stream, epoch, seq) not in self._shown
            ):
                yield entry

    def _none_missing(
        self, stream: str, epoch: str, after: int, until: int, *, when: str, shown: Entry | None = None
    ) -> None:
        """Only what was lost live may be missing, and found later; but nothing of the subject that is shown."""
        for entry in self.unseen(stream, epoch, after, until):
            may_be_late = entry.disturbed and ">" not in self.topic.patterns
            is_behind = shown is not None and shown.subject == entry.subject
            self._require(may_be_late and not is_behind, f"was not shown {entry.cursor} {when}")

    def finish(self) -> None:
        """All is calm: everything up to the head must have been shown."""
        if self.has_left:
            return
        self._require(self._is_greeted, "was never greeted")
        self._require(self.status == "connected", f"was left {self.status}")
        self._require(self.recovered, "was left without recovered: true")
        for stream, log in self._streams.items():
            newest = self._newest[stream]
            self._require(newest.epoch == log.epoch, f"was left at {newest}, though the epoch is {log.epoch}")
            missing = [entry.cursor for entry in self.unseen(stream, log.epoch, 0, log.last_seq + 1)]
            self._require(not missing, f"was never shown {', '.join(missing)}, and told of no gap")

    def _is_mine(self, entry: Entry) -> bool:
        return entry.kind == "event" and any(covers(pattern, entry.subject) for pattern in self.topic.patterns)

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Broken(f"{self.name} {otherwise}")


def _number(entry: Entry) -> Any:
    body = _decode(entry.body)
    return (body["payload"] if "event_type" in body else body)["n"]
