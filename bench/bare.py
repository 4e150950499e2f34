"""The chat call with nothing behind it: FastAPI reads and checks the same body, and answers the same fields.

    python bare.py

`rest` measures it beside ours. It listens on a free port of loopback, says which on standard output as a JSON object,
and ends with its standard input.
"""

import json
import os
import socket
import sys
import threading
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field


class ChatBody(BaseModel):
    """Something to say."""

    message: Annotated[str, Field(min_length=1)]
    session_id: str | None = None
    sender: Annotated[str, Field(min_length=1, max_length=128)] = "user"
    metadata: dict[str, Any] = {}
    context: Any = None
    agent_id: str | None = None


class ChatAnswer(BaseModel):
    """It was heard."""

    success: Literal[True] = True
    session_id: str | None
    message_id: str
    cursor: str
    response: str | None = None


app = FastAPI()
listener = socket.socket()


@app.post("/api/v1/daena/chat")
async def chat(body: ChatBody) -> ChatAnswer:
    """Answer."""
    return ChatAnswer(
        session_id=body.session_id, message_id="01a206d8-b04a-7b78-8e6f-4e323d08c6a3", cursor="Rk3f9ab-120"
    )


def end_with_the_parent() -> None:
    """Wait for the end of standard input."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)  # now, so that who knows the port may come
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
