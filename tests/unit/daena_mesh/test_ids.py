from __future__ import annotations

import re
import time
import uuid
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from daena_mesh.ids import dedup_id, derived_id, now, uuid7, uuid7s


def test_a_uuid_has_the_version_and_the_variant_of_rfc_9562() -> None:
    for _ in range(1_000):
        text = uuid7()
        value = uuid.UUID(text)
        assert str(value) == text
        assert value.version == 7
        assert value.variant == uuid.RFC_4122


def test_many_uuids_are_as_good_as_one() -> None:
    made = uuid7s(1_000)
    assert len(set(made)) == 1_000
    assert all(str(uuid.UUID(text)) == text and uuid.UUID(text).version == 7 for text in made)
    assert {uuid.UUID(text).variant for text in made} == {uuid.RFC_4122}
    assert uuid7s(0) == []


def test_uuids_sort_by_the_millisecond_they_were_made_in() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid7() for _ in range(1_000)]
    after = time.time_ns() // 1_000_000
    moments = [int(text.replace("-", "")[:12], 16) for text in made]
    assert moments == sorted(moments)
    assert before <= moments[0]
    assert moments[-1] <= after
    assert len(set(made)) == len(made)


def test_the_time_is_rfc_3339_in_utc() -> None:
    text = now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert abs((datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()) < 5


@given(st.text(), st.text())
def test_an_id_for_deduplication_is_the_same_always_and_can_be_a_header(subject: str, event_id: str) -> None:
    try:
        derived = dedup_id(subject, event_id)
    except UnicodeEncodeError:
        return
    assert re.fullmatch("[0-9a-f]{32}", derived)
    assert derived == dedup_id(subject, event_id)


def test_an_equal_id_in_another_session_is_another() -> None:
    assert dedup_id("chat.s1.message", "c1") != dedup_id("chat.s2.message", "c1")
    assert dedup_id("chat.s1.message.ada", "c1") != dedup_id("chat.s1.message.bob", "c1")
    assert derived_id("ab", "c") != derived_id("a", "bc")
    assert derived_id("a", "b") == "852635742d6eb30fdccb0e7c1b53d92f"
