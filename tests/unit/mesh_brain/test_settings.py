from __future__ import annotations

from typing import get_args

import pytest

from daena_mesh.errors import ConfigurationError
from daena_mesh.settings import describe, load
from mesh_brain.settings import BrainSettings, place_of
from mesh_brain.trouble import Kind
from tests.support.tracked import ROOT

OLLAMA = "http://127.0.0.1:11434/v1"


def test_the_variables_of_the_client_say_where_the_server_is() -> None:
    place = place_of({"OPENAI_BASE_URL": f" {OLLAMA}/ ", "OPENAI_API_KEY": " k "})
    assert (place.base_url, place.api_key) == (OLLAMA, "k")
    assert place_of({"OPENAI_BASE_URL": "http://other/v1"}, OLLAMA).base_url == OLLAMA
    assert place_of({"OPENAI_BASE_URL": OLLAMA}).api_key == ""


def test_without_a_server_one_sentence_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match=r"^OPENAI_BASE_URL is not set: .*http://127\.0\.0\.1:11434/v1"):
        place_of({})


@pytest.mark.parametrize("url", ["127.0.0.1:11434", "ftp://x/v1", "http://", "http://x:port/v1", "http://[::1", "x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^OPENAI_BASE_URL: "):
        place_of({"OPENAI_BASE_URL": url})


@pytest.mark.promise("P-BRAIN-4")
def test_no_secret_is_shown() -> None:
    place = place_of(
        {"OPENAI_BASE_URL": "https://ada:s3cret@models.test:8443/v1?key=s3cret", "OPENAI_API_KEY": "s3cret"}
    )
    assert place.shown == "https://models.test:8443/v1"
    assert "s3cret" not in repr(place)


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        (OLLAMA, True),
        ("http://[::1]:8080/v1", True),
        ("http://localhost/v1", True),
        ("http://192.0.2.1/v1", False),
        ("https://models.test/v1", False),
    ],
)
def test_a_server_on_this_machine_is_known(url: str, is_here: bool) -> None:
    assert place_of({}, url).is_here is is_here


def test_settings_have_variables_of_their_own() -> None:
    settings = load(BrainSettings, {"MESH_BRAIN_MODEL": "llama3.2", "MESH_BRAIN_TOKEN_S": "2.5"})
    assert (settings.brain_model, settings.brain_token_s, settings.brain_id) == ("llama3.2", 2.5, "main")
    assert settings.agent == "daena"
    assert load(BrainSettings, {"MESH_BRAIN_ID": "second"}).agent == "daena-second"
    assert load(BrainSettings, {"MESH_BRAIN_ID": "second", "MESH_BRAIN_AGENT": "ada"}).agent == "ada"
    with pytest.raises(ConfigurationError, match=r"^MESH_BRAIN_RETRIES: "):
        load(BrainSettings, {"MESH_BRAIN_RETRIES": "often"})
    own = [setting for setting in describe(BrainSettings) if setting.variable.startswith("MESH_BRAIN_")]
    assert len(own) > 15
    assert all(setting.description.endswith(".") for setting in own)


def test_the_document_names_every_setting_and_every_trouble() -> None:
    document = (ROOT / "docs" / "brain.md").read_text(encoding="utf-8")
    own = [setting.variable for setting in describe(BrainSettings) if setting.variable.startswith("MESH_BRAIN_")]
    assert [name for name in own if f"`{name}`" not in document] == []
    assert [kind for kind in get_args(Kind) if f"| `{kind}` |" not in document] == []
