"""The server of models, asked through the ``openai`` client: what models it has, and for completions that stream."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openai
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

from mesh_brain.chunk import Chunk, read, valid
from mesh_brain.conversation import Message
from mesh_brain.settings import BrainSettings, Place
from mesh_brain.trouble import Asked, Trouble, pause_s, trouble_of

_MOST_NAME = 256

Write = Callable[[str], Awaitable[object]]


@dataclass
class Completion:
    """An answer of a model, as far as it has come."""

    model: str
    attempts: int = 0
    has_text: bool = False
    """Something of it was shown: from here on nothing is asked again."""
    first_token_ms: float | None = None
    finish_reason: str | None = None
    """``stop``, ``length`` or what else the server says; None while it has not ended."""
    usage: dict[str, int] | None = None
    """Tokens, where the server counts them."""

    def to_metadata(self) -> dict[str, Any]:
        """What a message's metadata says of it."""
        found: dict[str, Any] = {"model": self.model, "usage": self.usage, "finish_reason": self.finish_reason}
        if self.first_token_ms is not None:
            found["first_token_ms"] = round(self.first_token_ms, 1)
        return {key: value for key, value in found.items() if value is not None}


class ModelServer:
    """A server that speaks OpenAI's protocol."""

    def __init__(self, place: Place, settings: BrainSettings) -> None:
        self.place = place
        self._settings = settings
        self._counts_tokens = True
        # Its own retries are off: they know nothing of what was shown, nor of the time that is left. It wants some key.
        self._client = AsyncOpenAI(
            base_url=place.base_url,
            api_key=place.api_key or "none",
            max_retries=0,
            timeout=openai.Timeout(None, connect=settings.brain_connect_s),
            # A proxy of the environment leads away from this machine.
            http_client=openai.DefaultAsyncHttpxClient(trust_env=not place.is_here),
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    def asked(self, model: str = "") -> Asked:
        """Who is asked, for sentences."""
        return Asked(self.place.shown, model, self.place.api_key)

    async def models(self) -> list[str]:
        """The names of its models, in its order; raises `Trouble`."""
        asked, patience_s = self.asked(), self._settings.brain_look_s
        try:
            async with asyncio.timeout(patience_s):
                listed = await self._client.models.list()
            data: Any = getattr(listed, "data", None)
            if not isinstance(data, list | None):
                raise TypeError(f"models are a {type(data).__name__}")
            names = [getattr(model, "id", None) for model in data or ()]
            return [name for name in names if isinstance(name, str) and _is_name(name)]
        except TimeoutError:
            sentence = f"The model's server at {asked.server} did not name its models within {patience_s:g} s."
            raise Trouble("silent", sentence) from None
        except Exception as error:
            raise trouble_of(error, asked) from error

    async def complete(self, completion: Completion, messages: Sequence[Message], write: Write) -> None:
        """Ask for an answer, and ``write`` it as it comes.

        It is asked again, a few times and with pauses, as long as nothing of the answer was written.

        Args:
            completion: names the model, and is filled.
            messages: the conversation.
            write: awaited with each piece of text; what it raises comes out of here.

        Raises:
            Trouble: there is no answer, or no more of it.
        """
        settings = self._settings
        limit = asyncio.timeout(settings.brain_total_s)
        try:
            async with limit:
                while True:
                    completion.attempts += 1
                    try:
                        return await self._attempt(completion, messages, write)
                    except Trouble as trouble:
                        wait_s = pause_s(
                            trouble,
                            completion.attempts,
                            retries=settings.brain_retries,
                            most_s=settings.brain_most_pause_s,
                            chance=random.random(),
                        )
                        if completion.has_text or wait_s is None:
                            raise
                    await asyncio.sleep(wait_s)
        except TimeoutError:
            if not limit.expired():
                raise
            sentence = f"The model {completion.model!r} took longer than {settings.brain_total_s:g} s."
            raise Trouble("late", sentence) from None

    async def _attempt(self, completion: Completion, messages: Sequence[Message], write: Write) -> None:
        settings = self._settings
        begun = time.monotonic()
        patience = asyncio.timeout(settings.brain_first_token_s)
        stream = None
        completion.finish_reason = completion.usage = None
        is_alive = False
        try:
            async with patience:
                stream = await self._open(completion.model, messages)
                while (chunk := await self._next(stream, completion.model)) is not None:
                    if not is_alive and chunk.is_alive:
                        is_alive, completion.first_token_ms = True, (time.monotonic() - begun) * 1_000
                    completion.usage = chunk.usage or completion.usage
                    completion.finish_reason = chunk.finish_reason or completion.finish_reason
                    if chunk.text:
                        completion.has_text = True  # before it is: who is cancelled in between asks no second time
                        await write(chunk.text)
                    if is_alive:
                        patience.reschedule(asyncio.get_running_loop().time() + settings.brain_token_s)
        except TimeoutError:
            if not patience.expired():
                raise
            raise self._silence(completion.model, is_alive=is_alive) from None
        finally:
            if stream is not None:
                await stream.close()
        self._check_end(completion)

    async def _open(self, model: str, messages: Sequence[Message]) -> AsyncStream[ChatCompletionChunk]:
        settings = self._settings
        wanted: dict[str, Any] = {"model": model, "messages": [message.to_dict() for message in messages]}
        if settings.brain_max_tokens:
            wanted["max_tokens"] = settings.brain_max_tokens
        if settings.brain_temperature >= 0:
            wanted["temperature"] = settings.brain_temperature
        if self._counts_tokens:
            wanted["stream_options"] = {"include_usage": True}
        try:
            stream: AsyncStream[ChatCompletionChunk] = await self._client.chat.completions.create(**wanted, stream=True)
            return stream
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if not self._counts_tokens or "stream_options" not in str(error):
                raise trouble_of(error, self.asked(model)) from error
        except Exception as error:
            raise trouble_of(error, self.asked(model)) from error
        self._counts_tokens = False  # an older server that refuses what it does not know
        return await self._open(model, messages)

    async def _next(self, stream: AsyncStream[ChatCompletionChunk], model: str) -> Chunk | None:
        """The next piece of an answer, or None at its end."""
        try:
            return read(await anext(stream))
        except StopAsyncIteration:
            return None
        except Exception as error:
            raise trouble_of(error, self.asked(model)) from error

    def _silence(self, model: str, *, is_alive: bool) -> Trouble:
        settings = self._settings
        if is_alive:
            return Trouble("silent", f"The model {model!r} fell silent for {settings.brain_token_s:g} s.")
        return Trouble("silent", f"The model {model!r} did not begin to answer in {settings.brain_first_token_s:g} s.")

    def _check_end(self, completion: Completion) -> None:
        if completion.finish_reason is None:
            sentence = f"The model's server at {self.place.shown} broke its answer off."
            raise Trouble("cut", sentence, may_pass=True)
        if not completion.has_text:
            raise Trouble("empty", f"The model {completion.model!r} had nothing to say.")


def _is_name(name: str) -> bool:
    """Whether this can be the name of a model, and be told of."""
    return 0 < len(name) <= _MOST_NAME and valid(name) == name
