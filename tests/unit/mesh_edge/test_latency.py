from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from mesh_edge.frames import text_frame
from mesh_edge.latency import Latency


def frame(age_s: float, more: str = "") -> bytes:
    at = (datetime.now(UTC) - timedelta(seconds=age_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text_frame(
        b'{"cursor":"Rk3f-1","payload":{"timestamp":"2000-01-01T00:00:00Z"%b},"timestamp":"%b"}'
        % (more.encode(), at.encode())
    )


def test_it_is_the_age_of_the_event_and_nothing_in_its_payload() -> None:
    latency = Latency()
    latency.sample(frame(2.0, ',"a":"' + 200 * "x" + '"'), time.perf_counter())
    assert latency.histogram.count == 1
    assert 1.9 < latency.histogram.total_s < 60


@pytest.mark.parametrize("length", range(40))
def test_frames_of_every_length_are_read(length: int) -> None:
    latency = Latency()
    latency.sample(frame(1.0, ',"a":"' + length * "x" + '"'), time.perf_counter())
    assert latency.histogram.count == 1


def test_samples_are_rare() -> None:
    latency = Latency()
    for at in (1.0, 1.05, 1.09, 1.11, 1.2):
        latency.sample(frame(0), at)
    assert latency.histogram.count == 2


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b'{"timestamp":"soon"}', b'{"timestamp":"2026-01-01T00:00:00"}', b"\xff\xfe", b'{"timestamp":1}'],
)
def test_what_says_no_time_is_left_out(text: bytes) -> None:
    latency = Latency()
    latency.sample(text_frame(text) if text else b"", time.perf_counter())
    latency.sample(frame(0, ',"a":"' + 5_000 * "x" + '"'), time.perf_counter())
    assert latency.histogram.count == 0


def test_a_clock_that_is_ahead_counts_as_no_time() -> None:
    latency = Latency()
    latency.sample(frame(-3_600), time.perf_counter())
    assert latency.histogram.total_s == 0
