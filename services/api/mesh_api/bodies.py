"""The bodies of requests: read, checked and typed by msgspec; and how answers are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Request, Response
from msgspec import UNSET, Meta, UnsetType

from mesh_api.problems import NO_JSON_TYPE, NOT_JSON, WRONG_BODY, Problem

Text = Annotated[str, Meta(min_length=1)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]

Id = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_-]{1,64}$"})]
"""What `check_id` takes; said in the document only, for `check_id` refuses with a better sentence."""

_is_json = re.compile(r"application/(?:[!-~]+\+)?json").fullmatch

Body = TypeVar("Body", bound=msgspec.Struct)


class ChatBody(msgspec.Struct, frozen=True, kw_only=True):
    """Something to say to Daena, a department or an agent."""

    message: Annotated[Text, Meta(description="What is said.")]
    session_id: Annotated[Id | None, Meta(description="Without it a session begins.")] = None
    sender: Annotated[Name, Meta(description="Who says it.")] = "user"
    metadata: Annotated[dict[str, Any], Meta(description="Stored with the message.")] = {}
    context: Annotated[Any, Meta(description="Goes to whoever answers, and is not stored with the message.")] = None
    agent_id: Annotated[Id | None, Meta(description="The agent that is meant.")] = None


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session to begin."""

    title: Title
    category: Name | None = None
    scope_type: Name = "executive"
    scope_id: Name | None = None
    metadata: dict[str, Any] = {}


class SessionChanges(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Fields of a session that are to change; what is left out stays."""

    title: Title | UnsetType = UNSET
    category: Name | UnsetType | None = UNSET
    scope_type: Name | UnsetType = UNSET
    scope_id: Name | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Something said in a session, which nobody is asked to answer. Either ``sender`` or ``role`` says who said it."""

    content: Text
    sender: Name | None = None
    role: Name | None = None
    metadata: dict[str, Any] = {}


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to emit."""

    event_type: Annotated[
        str,
        Meta(
            description="Domain and verb, such as `agent.activity`.",
            extra_json_schema={"pattern": r"^[a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,31}$"},
        ),
    ]
    id: Annotated[Id, Meta(description="What it is about: the id in its subject.")]
    payload: dict[str, Any] = {}


async def read(request: Request, cls: type[Body]) -> Body:
    """The body of ``request``; raises `Problem` 415, 400 or 422."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _is_json(media_type):
        raise Problem(NO_JSON_TYPE, f"Send 'Content-Type: application/json', not {media_type[:80] or 'none'!r}.")
    body = await request.body()
    try:
        return msgspec.json.decode(body, type=cls)
    except msgspec.ValidationError as error:
        raise Problem(WRONG_BODY, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(NOT_JSON, str(error)) from None
    except RecursionError:
        raise Problem(WRONG_BODY, "The body is nested too deeply.") from None


def answer(content: object, headers: Mapping[str, str] | None = None) -> Response:
    """``content`` as JSON."""
    return Response(msgspec.json.encode(content), headers=headers, media_type="application/json")
