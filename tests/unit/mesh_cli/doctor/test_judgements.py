"""What the doctor makes of facts that cannot be had from the servers that tests may start."""

from __future__ import annotations

import io
import sys

import msgspec
import pytest

from daena_mesh.layout import Layout
from daena_mesh.provisioning import wanted_streams
from daena_mesh.settings import MeshSettings
from mesh_cli.doctor.doors import Doors, judge_access, judge_doors
from mesh_cli.doctor.finding import Finding, exit_code, fine, problem, warning
from mesh_cli.doctor.fleet import Member, judge_fleet
from mesh_cli.doctor.machine import judge_open_files
from mesh_cli.doctor.monitoring import Monitoring, judge_monitoring
from mesh_cli.doctor.report import as_json, lines, tell
from mesh_cli.doctor.server import Server, judge_server, numbers
from mesh_cli.doctor.streams import Cluster, Replica, State, Stream, judge_clock, judge_epochs, judge_streams, skew
from mesh_cli.doctor.web import Answer


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


@pytest.mark.parametrize(
    ("version", "level"),
    [("2.14.3", "ok"), ("2.15.1", "ok"), ("3.0.0-RC.1", "ok"), ("2.14.2", "problem"), ("2.9.25", "problem")],
)
def test_a_server_has_to_be_new_enough(version: str, level: str) -> None:
    assert levels(judge_server(Server(version=version)))["nats version"] == level


def test_a_version_that_cannot_be_read_is_a_problem() -> None:
    assert numbers("main") == ()
    assert levels(judge_server(Server(version="")))["nats version"] == "problem"


def test_what_cannot_be_seen_is_said_and_no_problem() -> None:
    assert levels(judge_monitoring(Server(), Monitoring())) == {"sync_always": "warning"}


def streams(**changed: object) -> dict[str, Stream]:
    """All streams as they are wanted, each with ``changed``."""
    wanted = wanted_streams(Layout(), MeshSettings())
    return {config["name"]: Stream(config={**config, **changed}) for config in wanted}


def judge(found: dict[str, Stream], servers: int | None = 1, *, is_clustered: bool = False) -> dict[str, str]:
    wanted = [stream.config for stream in found.values()]
    return levels(judge_streams(found, wanted, servers, is_clustered=is_clustered))


def test_streams_as_they_are_wanted_are_fine() -> None:
    assert set(judge(streams()).values()) == {"ok"}


def test_one_copy_in_a_cluster_is_told() -> None:
    assert judge(streams(), 3, is_clustered=True)["stream RECORDS replicas"] == "warning"
    assert judge(streams(), None, is_clustered=True)["stream RECORDS replicas"] == "warning"


def test_more_copies_than_servers_are_a_problem() -> None:
    assert judge(streams(num_replicas=3), 2, is_clustered=True)["stream ASKS replicas"] == "problem"
    assert "stream ASKS replicas" not in judge(streams(num_replicas=3), 3, is_clustered=True)


def test_a_copy_that_is_behind_is_named() -> None:
    found = streams(num_replicas=3)
    found["ASKS"].cluster = Cluster("n0", (Replica("n1", current=True), Replica("n2", current=False)))
    findings = judge_streams(found, [s.config for s in found.values()], 3, is_clustered=True)
    assert [(f.check, f.seen) for f in findings if f.level != "ok"] == [("stream ASKS replicas", "behind or away: n2")]


@pytest.mark.parametrize(("held", "is_told"), [(79, False), (80, True), (100, True)])
def test_a_stream_is_told_of_from_four_fifths_on(held: int, is_told: bool) -> None:
    found = streams(max_bytes=100)
    found["SIGNALS"].state = State(messages=1, bytes=held)
    assert ("stream SIGNALS fill" in judge(found)) is is_told


def test_a_stream_without_its_marker_is_a_problem() -> None:
    assert [f.level for f in judge_epochs(streams(), ["RECORDS", "SIGNALS"])] == ["problem", "problem"]


def test_only_what_the_answer_cannot_have_taken_is_skew() -> None:
    assert skew("2026-11-26T00:00:00Z", "2026-11-26T00:00:01.123456789Z", "2026-11-26T00:00:02Z") == 0
    assert skew("2026-11-26T00:00:10Z", "2026-11-26T00:00:01Z", "2026-11-26T00:00:12Z") == 9
    assert skew("2026-11-26T00:00:00Z", "2026-11-26T00:00:07Z", "2026-11-26T00:00:02Z") == -5


@pytest.mark.parametrize(("skew_s", "level"), [(0.0, "ok"), (1.5, "warning"), (-1.5, "warning"), (60, "problem")])
def test_clocks_that_differ_are_told(skew_s: float, level: str) -> None:
    assert [f.level for f in judge_clock({"A": Stream(skew_s=skew_s), "B": Stream()})] == [level]


def test_other_versions_are_told() -> None:
    fleet = [Member("mesh-api", "a", "0.1.0"), Member("mesh-edge", "b", "0.0.9"), Member("scout", "c", "7.0.0")]
    [finding] = judge_fleet(fleet, "0.1.0")
    assert finding.level == "warning"
    assert finding.seen == "mesh-edge b is 0.0.9; this is 0.1.0"


@pytest.mark.parametrize(("most", "level"), [(-1, "ok"), (1_048_576, "ok"), (1_024, "warning")])
def test_few_files_are_told(most: int, level: str) -> None:
    assert [finding.level for finding in judge_open_files(most)] == [level]


OPEN = Answer(200, "text/event-stream", b":")


def test_strangers_are_welcome_on_loopback_alone() -> None:
    doors = Doors(Answer(200), OPEN, Answer(101))
    assert levels(judge_access("https://mesh.example", doors, ""))["access"] == "problem"
    assert levels(judge_access("http://127.0.0.1:8000", doors, ""))["access"] == "ok"
    guarded = doors._replace(stream=Answer(401))
    assert levels(judge_access("https://mesh.example", guarded, "")) == {"access": "ok"}
    assert levels(judge_access("https://mesh.example", guarded, "too short"))["token key"] == "problem"


def test_each_door_that_is_shut_says_what_to_do() -> None:
    for status in (200, 400, 403, 404, 426, 500, 502, 503):
        doors = Doors(Answer(503), Answer(status), Answer(status, reason=f"HTTP {status}"))
        assert all(finding.level == "problem" and finding.mend for finding in judge_doors("http://h", doors))


def test_the_exit_code_is_that_of_problems() -> None:
    assert exit_code([fine("a", "b"), warning("a", "b", "c")]) == 0
    assert exit_code([fine("a", "b"), problem("a", "b", "c")]) == 1


def test_a_report_names_what_was_seen_and_how_to_mend_it(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [fine("nats", "answers"), problem("api", "is \x1b[2J away", "start it")]
    assert [line.plain for line in lines(findings)] == [
        "ok       nats: answers",
        "problem  api: is \\x1b[2J away",
        "         -> start it",
        "1 fine, 0 to look at, 1 to mend",
    ]
    tell(findings, in_json=False)
    assert "\x1b" not in capsys.readouterr().out
    told = msgspec.json.decode(as_json(findings))
    assert (told["healthy"], told["findings"][0]["level"]) == (False, "ok")


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    tell([problem("api", "away", "start it")], in_json=False)
    assert "\x1b[1;31mproblem" in terminal.getvalue()
