"""Settings: one frozen struct for each service, read once from ``MESH_…`` variables.

A field ``nats_url`` is read from ``MESH_NATS_URL``. A wrong value is refused at the start, by the variable's name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple, TypeVar, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from daena_mesh.errors import ConfigurationError

PREFIX = "MESH_"


class MeshSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What everybody needs who connects to the mesh."""

    nats_url: Annotated[
        str,
        Meta(description="NATS servers, separated by commas. Empty: the context, the local mesh, localhost:4222."),
    ] = ""
    nats_context: Annotated[str, Meta(description="The name of a `nats` CLI context to connect with.")] = ""
    nats_creds: Annotated[str, Meta(description="The path of a NATS credentials file (`.creds`).")] = ""
    nats_ca: Annotated[
        str,
        Meta(description="A PEM file: who signs the certificates of NATS. Empty: whom this system trusts."),
    ] = ""
    subjects: Annotated[
        str,
        Meta(description="More subjects and their streams, such as `chat.reaction=RECORDS,project.>=RECORDS`."),
    ] = ""
    max_body_bytes: Annotated[
        int, Meta(ge=256, le=1_000_000, description="The largest body of an event, in bytes.")
    ] = 65_536
    records_max_age_s: Annotated[
        int, Meta(ge=0, description="How long RECORDS keeps an event, in seconds; 0: until it is deleted.")
    ] = 0
    records_max_bytes: Annotated[int, Meta(ge=-1, description="How much RECORDS keeps, in bytes; -1: no limit.")] = -1
    signals_max_age_s: Annotated[int, Meta(ge=60, description="How long SIGNALS keeps an event, in seconds.")] = 86_400
    signals_max_bytes: Annotated[int, Meta(ge=1_048_576, description="How much SIGNALS keeps, in bytes.")] = 268_435_456
    traces: Annotated[
        Literal["", "otlp", "console"],
        Meta(description="Spans of OpenTelemetry: `otlp` to a collector, `console` to standard output; empty: none."),
    ] = ""
    replicas: Annotated[
        int, Meta(ge=1, le=5, description="Copies of each stream: 1 on a single server, 3 in a cluster.")
    ] = 1


AnySettings = TypeVar("AnySettings", bound=msgspec.Struct)


class Setting(NamedTuple):
    """One setting, for documentation."""

    variable: str
    type: str
    default: str
    description: str


def load(cls: type[AnySettings], environ: Mapping[str, str] | None = None, **given: object) -> AnySettings:
    """Read ``cls`` from ``environ``; what is ``given`` and not None counts more. Raises `ConfigurationError`."""
    environ = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for field in cls.__struct_fields__:
        variable = PREFIX + field.upper()
        if given.get(field) is not None:
            values[field] = given[field]
        elif text := environ.get(variable, "").strip():
            values[field] = text
    try:
        return msgspec.convert(values, cls, strict=False)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        field = path.rstrip("`").partition("[")[0]
        name = PREFIX + field.upper() if field else cls.__name__
        raise ConfigurationError(f"{name}: {message[:1].lower()}{message[1:]}, got {values.get(field)!r}") from None


def describe(cls: type[msgspec.Struct]) -> Iterator[Setting]:
    """The settings of ``cls`` in order."""
    hints = get_type_hints(cls, include_extras=True)
    defaults = dict(zip(reversed(cls.__struct_fields__), reversed(cls.__struct_defaults__), strict=False))
    for field in cls.__struct_fields__:
        hint = hints[field]
        about = next((meta.description for meta in getattr(hint, "__metadata__", ()) if meta.description), "")
        base = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
        kind = "str" if get_origin(base) is Literal else getattr(base, "__name__", str(base))
        yield Setting(PREFIX + field.upper(), kind, str(defaults[field]), about)
