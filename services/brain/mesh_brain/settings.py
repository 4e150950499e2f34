"""What the brain is told by ``MESH_BRAIN_…`` variables, and where its server of models is."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from msgspec import Meta

from daena_mesh.errors import ConfigurationError
from daena_mesh.settings import MeshSettings

BASE_URL = "OPENAI_BASE_URL"
API_KEY = "OPENAI_API_KEY"


class BrainSettings(MeshSettings, frozen=True, kw_only=True):
    """Settings of the brain."""

    brain_id: Annotated[str, Meta(description="The id of the brain, as in `brain.main.status`.")] = "main"
    brain_agent: Annotated[
        str,
        Meta(
            description="The name of the agent that answers; empty: `daena`, or `daena-<id>` for another id than main."
        ),
    ] = ""
    brain_sender: Annotated[str, Meta(description="The name under which answers stand in the chat.")] = "daena"
    brain_model: Annotated[str, Meta(description="The model; empty: the first that the server has.")] = ""
    brain_system_prompt: Annotated[
        str, Meta(description="What the model is told before the history; empty: nothing.")
    ] = "You are Daena, a helpful assistant. Answer briefly and plainly."
    brain_history_messages: Annotated[
        int, Meta(ge=1, le=1_000, description="How many messages of a session a model is given at most.")
    ] = 40
    brain_history_characters: Annotated[
        int, Meta(ge=0, le=4_000_000, description="How many characters of history, the question aside, it is given.")
    ] = 24_000
    brain_max_tokens: Annotated[
        int, Meta(ge=0, description="How long an answer may get, in tokens; 0: as the server likes.")
    ] = 0
    brain_temperature: Annotated[
        float, Meta(ge=-1, le=2, description="The temperature of an answer; below 0: as the server likes.")
    ] = -1.0
    brain_concurrency: Annotated[int, Meta(ge=1, le=256, description="How many questions are answered at a time.")] = 4
    brain_connect_s: Annotated[
        float, Meta(gt=0, le=60, description="How long connecting to the server may take, in seconds.")
    ] = 5.0
    brain_first_token_s: Annotated[
        float, Meta(gt=0, le=3_600, description="How long a model may think before its first token, in seconds.")
    ] = 120.0
    brain_token_s: Annotated[
        float, Meta(gt=0, le=3_600, description="How long the pause between two tokens may be, in seconds.")
    ] = 30.0
    brain_total_s: Annotated[
        float, Meta(gt=0, le=86_400, description="How long an answer may take, its retries included, in seconds.")
    ] = 600.0
    brain_retries: Annotated[
        int,
        Meta(ge=0, le=20, description="How often a request that failed before its first token is made again."),
    ] = 3
    brain_most_pause_s: Annotated[
        float,
        Meta(gt=0, le=600, description="The longest pause before a retry; who is told to wait longer gives up."),
    ] = 20.0
    brain_look_s: Annotated[
        float, Meta(gt=0, le=600, description="How long the server may take to name its models, in seconds.")
    ] = 10.0
    brain_watch_s: Annotated[
        float, Meta(gt=0, le=3_600, description="The pause between two looks at the server, in seconds.")
    ] = 5.0
    brain_report_s: Annotated[
        float, Meta(gt=0, le=3_600, description="How often a state that stays the same is told again, in seconds.")
    ] = 15.0

    @property
    def agent(self) -> str:
        """The name of the agent that answers: brains that run side by side need one each."""
        if self.brain_agent:
            return self.brain_agent
        return "daena" if self.brain_id == "main" else f"daena-{self.brain_id}"


@dataclass(frozen=True)
class Place:
    """Where the server of models is, and what it is asked with."""

    base_url: str = field(repr=False)
    """Without a final slash."""
    api_key: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """The URL for people: without a password in it."""
        parts = urlsplit(self.base_url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, by its address."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


def place_of(environ: Mapping[str, str], base_url: str = "") -> Place:
    """Where the server is, by ``base_url`` or the variables of the ``openai`` client; raises `ConfigurationError`."""
    url = (base_url or environ.get(BASE_URL, "")).strip()
    if not url:
        raise ConfigurationError(
            f"{BASE_URL} is not set: it names the server of models, such as http://127.0.0.1:11434/v1 for Ollama"
        )
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(f"{BASE_URL}: {url[:200]!r} is no URL, such as http://127.0.0.1:11434/v1 for Ollama")
    return Place(url.rstrip("/"), environ.get(API_KEY, "").strip())
