from __future__ import annotations

import pytest

from daena_mesh.errors import ConfigurationError
from daena_mesh.settings import describe, load
from mesh_api.settings import ApiSettings


def test_read_from_the_environment() -> None:
    settings = load(ApiSettings, {"MESH_MAX_REQUEST_BYTES": "2048", "MESH_API_WAIT_S": "0.25"})
    assert (settings.max_request_bytes, settings.api_wait_s) == (2_048, 0.25)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MESH_MAX_REQUEST_BYTES", "10"), ("MESH_API_WAIT_S", "soon"), ("MESH_API_DEADLINE_S", "0")],
)
def test_a_wrong_value_is_refused_by_its_name(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        load(ApiSettings, {variable: value})


def test_each_is_described() -> None:
    assert all(setting.description for setting in describe(ApiSettings))


def test_a_request_holds_the_largest_event_and_its_context() -> None:
    settings = ApiSettings()
    assert settings.max_request_bytes >= 2 * settings.max_body_bytes
