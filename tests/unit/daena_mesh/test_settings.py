from __future__ import annotations

import pytest

from daena_mesh.errors import ConfigurationError
from daena_mesh.settings import MeshSettings, describe, load


def test_nothing_set_is_the_defaults() -> None:
    assert load(MeshSettings, {}) == MeshSettings()


def test_variables_are_read_and_what_is_given_counts_more() -> None:
    environ = {"MESH_NATS_URL": " nats://a ", "MESH_MAX_BODY_BYTES": "1000", "MESH_REPLICAS": "", "OTHER": "x"}
    settings = load(MeshSettings, environ, max_body_bytes=2_000, nats_url=None)
    assert settings == MeshSettings(nats_url="nats://a", max_body_bytes=2_000)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("MESH_MAX_BODY_BYTES", value) for value in ("many", "12.5", "255", "1000001", "-1", "0x400", "1e400")),
        *(("MESH_RECORDS_MAX_AGE_S", value) for value in ("-1", "1h")),
        *(("MESH_RECORDS_MAX_BYTES", value) for value in ("-2", "1GiB")),
        *(("MESH_SIGNALS_MAX_AGE_S", value) for value in ("59", "24h")),
        *(("MESH_SIGNALS_MAX_BYTES", value) for value in ("1048575", "-1")),
        *(("MESH_REPLICAS", value) for value in ("0", "6", "three")),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{variable}: .*, got '{value}'$"):
        load(MeshSettings, {variable: value})


def test_a_wrong_argument_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"^MESH_REPLICAS: "):
        load(MeshSettings, {}, replicas=9)


def test_every_setting_is_documented_once() -> None:
    settings = list(describe(MeshSettings))
    assert [setting.variable for setting in settings] == [
        f"MESH_{field.upper()}" for field in MeshSettings.__struct_fields__
    ]
    for setting in settings:
        assert setting.description.endswith(".")
        assert setting.type in {"str", "int"}
    assert {s.variable: s.default for s in settings}["MESH_MAX_BODY_BYTES"] == "65536"
