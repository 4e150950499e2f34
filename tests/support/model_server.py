"""A server of language models as Ollama, vLLM and llama.cpp are: real HTTP, OpenAI's protocol, and faults by script."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class Reply:
    """The answer to one request, as it is written."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_cut = False
        self._reader = reader
        self._writer = writer

    async def json(self, status: int, body: Any, **headers: str) -> None:
        """Answer at once."""
        await self.text(status, json.dumps(body), **{"Content-Type": "application/json", **headers})

    async def text(self, status: int, body: str, **headers: str) -> None:
        """Answer at once, with any body."""
        data = body.encode()
        self._head(status, {**headers, "Content-Length": str(len(data))})
        self._writer.write(data)
        await self._writer.drain()

    def begin(self) -> None:
        """Begin to stream events, in chunks."""
        self._head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})

    async def event(self, data: Any) -> None:
        """Stream one event: JSON, or a text as it is."""
        text = data if isinstance(data, str) else json.dumps(data)
        await self.line(f"data: {text}\n\n")

    async def line(self, text: str) -> None:
        """Stream whatever this is."""
        await self.raw(text.encode())

    async def raw(self, data: bytes) -> None:
        """Stream these bytes."""
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    async def end(self) -> None:
        """End the stream as it should."""
        await self.event("[DONE]")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def cut(self) -> None:
        """Reset the connection."""
        self.is_cut = True
        self._writer.transport.abort()

    async def client_is_gone(self) -> None:
        """Say nothing more until the client hangs up."""
        with contextlib.suppress(ConnectionError):
            await self._reader.read()
        self.cut()

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Failed')}", *(f"{k}: {v}" for k, v in headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())


Act = Callable[[Reply, dict[str, Any]], Awaitable[None]]
"""What the server does with one question, given its body."""


def chunk(content: str | None = None, *, finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    """Give a piece of an answer."""
    said = delta if content is None else {"content": content, **delta}
    return {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": said, "finish_reason": finish_reason}],
    }


def says(*tokens: str, finish_reason: str = "stop", usage: bool = True) -> Act:
    """Answer with ``tokens``, and count them where that is asked for and ``usage``."""

    async def act(reply: Reply, body: dict[str, Any]) -> None:
        reply.begin()
        await reply.event(chunk("", role="assistant"))
        for token in tokens:
            await reply.event(chunk(token))
        await reply.event(chunk(finish_reason=finish_reason))
        if usage and (body.get("stream_options") or {}).get("include_usage"):
            counts = {"prompt_tokens": 7, "completion_tokens": len(tokens), "total_tokens": 7 + len(tokens)}
            await reply.event({**chunk(), "choices": [], "usage": counts})
        await reply.end()

    return act


def fails(status: int, message: str = "", **headers: str) -> Act:
    """Answer with an error."""

    async def act(reply: Reply, body: dict[str, Any]) -> None:
        await reply.json(status, {"error": {"message": message, "type": "error"}}, **headers)

    return act


def breaks_off(*tokens: str, by: Callable[[Reply], Awaitable[None]] | None = None) -> Act:
    """Say ``tokens``, then reset the connection, or end as ``by`` does."""

    async def act(reply: Reply, body: dict[str, Any]) -> None:
        reply.begin()
        await reply.event(chunk("", role="assistant"))
        for token in tokens:
            await reply.event(chunk(token))
        if by is not None:
            await by(reply)
        else:
            reply.cut()

    return act


async def silence(reply: Reply) -> None:
    """Go on with nothing."""
    await reply.client_is_gone()


async def garbage(reply: Reply) -> None:
    """Go on with what is no JSON."""
    await reply.event("{no json")
    await reply.client_is_gone()


async def error_event(reply: Reply) -> None:
    """Go on with an error in the stream, as vLLM and Ollama do."""
    await reply.event({"error": {"message": "out of memory\nfor sure", "type": "server_error"}})
    await reply.end()


async def early_end(reply: Reply) -> None:
    """End without having said that the answer is whole."""
    await reply.end()


class ModelServer:
    """The server; `running` starts one."""

    def __init__(self) -> None:
        self.port = 0
        self.models: list[str] | None = ["m"]
        self.models_act: Callable[[Reply], Awaitable[None]] | None = None
        """Takes the place of the list of models."""
        self.script: deque[Act] = deque()
        """What is done with the next questions; after that each is answered with "Hello!"."""
        self.always: Act = says("Hel", "lo!")
        self.questions: list[dict[str, Any]] = []
        """The bodies of the questions."""
        self.keys: set[str] = set()
        """The keys that came."""
        self.looks = 0
        """How often its models were asked for."""
        self.cuts = 0
        """How many answers did not end as they should."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        """As ``OPENAI_BASE_URL`` has it."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        """Listen, on the port of before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, and reset whoever is there."""
        if self._server is not None:
            self._server.close()
            self._server = None
        while self._tasks:
            for writer in tuple(self._writers):
                writer.transport.abort()
            await asyncio.wait(self._tasks, timeout=0.1)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[ModelServer]:
        """Run one on a free port for a block."""
        server = cls()
        await server.start()
        try:
            yield server
        finally:
            await server.stop()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._serve(reader, writer):
                    pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may be used for another."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.keys.add(headers.get("authorization", ""))
        reply = Reply(reader, writer)
        method, path, _ = request.split(" ")
        if (method, path) == ("GET", "/v1/models"):
            self.looks += 1
            if self.models_act is not None:
                await self.models_act(reply)
            else:
                data = None if self.models is None else [{"id": name, "object": "model"} for name in self.models]
                await reply.json(200, {"object": "list", "data": data})
        elif (method, path) == ("POST", "/v1/chat/completions"):
            question = json.loads(body)
            self.questions.append(question)
            act = self.script.popleft() if self.script else self.always
            try:
                await act(reply, question)
            except OSError:
                reply.is_cut = True
        else:
            await reply.json(404, {"error": {"message": "no such path"}})
        self.cuts += reply.is_cut
        return not reply.is_cut
