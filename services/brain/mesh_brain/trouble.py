"""What can go wrong with a server of models: what people are told, and whether asking again may help. Pure."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import Literal

import msgspec
import openai

from daena_mesh.errors import MeshError

Kind = Literal[
    "away", "cut", "silent", "late", "refused", "unknown", "busy", "failed", "rejected", "garbage", "empty", "long",
    "no-model",
]  # fmt: skip
"""How a trouble is named in the metadata of an answer, for programs."""

_FIRST_PAUSE_S = 0.5
_MOST_SAID = 200


class Trouble(MeshError):
    """Why there is no answer, or no whole one: its text is one sentence for the person who asked."""

    def __init__(
        self,
        kind: Kind,
        sentence: str,
        *,
        status: int | None = None,
        may_pass: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(sentence)
        self.kind: Kind = kind
        self.sentence = sentence
        self.status = status
        self.may_pass = may_pass
        """Whether asking again may help."""
        self.retry_after_s = retry_after_s

    def to_metadata(self) -> dict[str, str | int]:
        """What a message's metadata says of it."""
        found: dict[str, str | int] = {"kind": self.kind, "sentence": self.sentence}
        return found if self.status is None else {**found, "status": self.status}


class Asked(msgspec.Struct, frozen=True):
    """Who was asked for what, for the sentences."""

    server: str
    model: str = ""
    secret: str = ""
    """Never shown, whoever says it."""


def trouble_of(error: Exception, asked: Asked) -> Trouble:
    """Say what an error of the client means for who asked ``asked``."""
    server = asked.server
    if isinstance(error, openai.APITimeoutError):
        return Trouble("away", f"The model's server at {server} cannot be reached: it did not answer.", may_pass=True)
    if isinstance(error, openai.APIConnectionError):
        if _was_answering(error):
            return Trouble("cut", f"The model's server at {server} broke the connection off.", may_pass=True)
        return Trouble("away", f"The model's server at {server} cannot be reached: is it running?", may_pass=True)
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, asked)
    if isinstance(error, openai.APIError):
        said = _said(error, asked)
        return Trouble("failed", f"The model's server at {server} failed while it answered{said}.", may_pass=True)
    # Whatever the client makes of what is no JSON, or JSON of another form.
    return Trouble("garbage", f"The model's server at {server} said something that is no answer.", may_pass=True)


def _of_status(error: openai.APIStatusError, asked: Asked) -> Trouble:
    status, server = error.status_code, asked.server
    if status in {401, 403}:
        sentence = f"The model's server at {server} refuses the key ({status}): OPENAI_API_KEY is missing or wrong."
        return Trouble("refused", sentence, status=status)
    if status == 404:
        what = f"has no model {asked.model!r}, or " if asked.model else ""
        sentence = f"The server at {server} {what}is no OpenAI-compatible one at this address (404); most end in /v1."
        return Trouble("unknown", sentence, status=status)
    if status == 429 or status >= 500 or status in {408, 409}:
        wait_s = retry_after_s(error.response.headers)
        later = f"in {wait_s:.0f} s" if wait_s else "later"
        kind: Kind = "busy" if status == 429 else "failed"
        what = "is asked too often (429)" if kind == "busy" else f"failed ({status}){_said(error, asked)}"
        sentence = f"The model's server at {server} {what}: try again {later}."
        return Trouble(kind, sentence, status=status, may_pass=True, retry_after_s=wait_s)
    sentence = f"The model's server at {server} refuses the request ({status}){_said(error, asked)}."
    return Trouble("rejected", sentence, status=status)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds of ``Retry-After`` (RFC 9110, section 10.2.3: seconds or a date), and of ``retry-after-ms``."""
    if (text := headers.get("retry-after-ms")) and (wait_s := _number(text)) is not None:
        return wait_s / 1_000
    if not (text := headers.get("retry-after")):
        return None
    if (wait_s := _number(text)) is not None:
        return wait_s
    try:
        at: float = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, at - time.time())


def pause_s(trouble: Trouble, attempt: int, *, retries: int, most_s: float, chance: float) -> float | None:
    """How long to wait before asking again, or None: it is of no use, was done often enough, or would take too long.

    Args:
        trouble: what happened.
        attempt: how often it was asked, from 1 on.
        retries: how often it may be asked again.
        most_s: the longest pause.
        chance: between 0 and 1; spreads those who were sent away together.
    """
    if not trouble.may_pass or attempt > retries:
        return None
    if trouble.retry_after_s is not None:
        return trouble.retry_after_s if trouble.retry_after_s <= most_s else None
    return min(most_s, _FIRST_PAUSE_S * 2.0 ** (attempt - 1)) * (0.5 + chance / 2)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < 1e9 else None


def _said(error: openai.APIError, asked: Asked) -> str:
    """What the server itself says of it, short, on one line, without the key."""
    body = error.body
    text = body.get("message") if isinstance(body, Mapping) else None
    if not isinstance(text, str):
        return ""
    if asked.secret:
        text = text.replace(asked.secret, "…")
    text = "".join(letter for letter in " ".join(text.split()) if letter.isprintable())
    return f": {text[:_MOST_SAID].rstrip(' .')}" if text else ""


def _was_answering(error: openai.APIConnectionError) -> bool:
    """Whether the connection was there, and was lost while it was read."""
    cause = error.__cause__
    return type(cause).__name__ in {"ReadError", "RemoteProtocolError", "WriteError"}
