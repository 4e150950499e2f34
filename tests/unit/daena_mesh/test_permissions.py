from __future__ import annotations

import pytest

from daena_mesh.errors import ConfigurationError
from daena_mesh.layout import Layout
from daena_mesh.permissions import ROLES, check_role, inbox_prefix, role_of, tags_of, templates

AGENT = {
    "pub": {
        "allow": [
            "agent.{{name()}}.activity",
            "agent.{{name()}}.status",
            "task.*.update.{{name()}}",
            "ask.*.*.{{name()}}",
            "$KV.AGENTS.{{name()}}",
            "chat.{{tag(session)}}.message.{{name()}}",
            "chat.{{tag(session)}}.delta.{{name()}}",
            "chat.{{tag(session)}}.typing.{{name()}}",
            "mesh.log.{{tag(session)}}.{{name()}}",
            "mesh.held.*",
            "$JS.API.CONSUMER.MSG.NEXT.ASKS.agent-{{name()}}",
            "$JS.ACK.ASKS.agent-{{name()}}.>",
            "$JS.API.CONSUMER.MSG.NEXT.ASKS.department-{{tag(department)}}",
            "$JS.ACK.ASKS.department-{{tag(department)}}.>",
        ]
    },
    "sub": {
        "allow": [
            "_INBOX_{{name()}}.>",
            "live.chat.{{tag(session)}}.>",
            "live.session.{{tag(session)}}.>",
            "$SRV.PING",
            "$SRV.INFO",
            "$SRV.STATS",
            "$SRV.*.{{name()}}",
            "$SRV.*.{{name()}}.*",
            "svc.{{name()}}.>",
        ]
    },
    "resp": {"max": 1, "ttl": 5_000_000_000},
    "subs": -1,
    "data": -1,
    "payload": 131_072,
}


def test_an_agents_template_is_exactly_this() -> None:
    assert templates(Layout())["agent"] == AGENT


@pytest.mark.parametrize("role", ROLES)
def test_nobody_may_do_everything(role: str) -> None:
    template = templates(Layout())[role]
    subjects = template["pub"]["allow"] + template["sub"]["allow"]
    assert not {">", "*", "$JS.API.>", "$JS.>", "_INBOX.>", "$SYS.>"} & set(subjects)
    assert not [subject for subject in subjects if subject.startswith("*") or "STREAM.DELETE" in subject]
    for allowed in (template["pub"]["allow"], template["sub"]["allow"]):
        assert len(allowed) == len(set(allowed))


def test_an_edge_publishes_under_nobodys_name() -> None:
    allowed = templates(Layout())["edge"]["pub"]["allow"]
    assert not [subject for subject in allowed if subject.startswith(("agent.", "task.", "ask.", "live.", "brain."))]
    assert "chat.*.message" in allowed
    assert "chat.*.message.*" not in allowed


def test_services_may_publish_what_the_layout_adds() -> None:
    added = templates(Layout.from_setting("project.>=RECORDS"))
    assert all("project.>" in added[role]["pub"]["allow"] for role in ("api", "edge", "up"))
    assert "project.>" not in added["agent"]["pub"]["allow"]


def test_no_two_users_share_an_inbox() -> None:
    names = {inbox_prefix(role, name) for role in ROLES for name in ("api", "up", "scout")}
    assert len(names) == 3 * len(ROLES)


def test_a_role_is_read_from_the_tags() -> None:
    tags = tags_of("brain", ["s1"], ["hr"], ["daena"])
    assert tags == ["role:brain", "session:s1", "department:hr", "agent:daena"]
    assert role_of(tags) == "brain"
    assert role_of(["session:role:ops"]) == "agent"


def test_another_service_is_refused() -> None:
    assert check_role("edge") == "edge"
    with pytest.raises(ConfigurationError, match="'ops' is no service: there are api, edge, brain"):
        check_role("ops")
