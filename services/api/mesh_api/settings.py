"""What the API is told by ``MESH_…`` variables."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from daena_mesh.origin import OriginSettings


class ApiSettings(OriginSettings, frozen=True, kw_only=True):
    """Settings of the API."""

    max_request_bytes: Annotated[
        int, Meta(ge=1_024, le=16_777_216, description="The largest body of an HTTP request, in bytes.")
    ] = 131_072
    api_wait_s: Annotated[
        float, Meta(ge=0.05, le=30, description="How long a request waits for a lost NATS before 503, in seconds.")
    ] = 0.5
    api_deadline_s: Annotated[
        float, Meta(ge=0.5, le=60, description="How long one write may take while NATS does answer, in seconds.")
    ] = 5.0
    ask_timeout_s: Annotated[
        float,
        Meta(ge=0.5, le=86_400, description="How long a question waits for somebody to answer it, in seconds."),
    ] = 60.0
