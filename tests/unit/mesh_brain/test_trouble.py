from __future__ import annotations

import email.utils
import time
from typing import Any

import httpx2
import openai
import pytest

from mesh_brain.trouble import Asked, Trouble, pause_s, retry_after_s, trouble_of

ASKED = Asked("http://models.test/v1", "m", "s3cret")
REQUEST = httpx2.Request("POST", "http://models.test/v1/chat/completions")


def status_error(status: int, message: Any = "", **headers: str) -> openai.APIStatusError:
    response = httpx2.Response(status, request=REQUEST, headers=headers)
    return openai.APIStatusError("x", response=response, body={"message": message})


def connection_error(cause: Exception | None = None) -> openai.APIConnectionError:
    error = openai.APIConnectionError(request=REQUEST)
    error.__cause__ = cause
    return error


def pause(trouble: Trouble, attempt: int = 1, chance: float = 1.0) -> float | None:
    return pause_s(trouble, attempt, retries=3, most_s=10, chance=chance)


@pytest.mark.parametrize(
    ("error", "kind", "sentence", "may_pass"),
    [
        (connection_error(), "away", "cannot be reached: is it running?", True),
        (connection_error(httpx2.ConnectError("x")), "away", "cannot be reached", True),
        (connection_error(httpx2.ReadError("x")), "cut", "broke the connection off", True),
        (connection_error(httpx2.RemoteProtocolError("x")), "cut", "broke the connection off", True),
        (openai.APITimeoutError(REQUEST), "away", "did not answer", True),
        (status_error(401), "refused", "refuses the key (401): OPENAI_API_KEY", False),
        (status_error(403), "refused", "refuses the key (403)", False),
        (status_error(404), "unknown", "has no model 'm', or is no OpenAI-compatible one", False),
        (status_error(429), "busy", "asked too often (429): try again later", True),
        (status_error(429, **{"Retry-After": "7"}), "busy", "asked too often (429): try again in 7 s", True),
        (status_error(500), "failed", "failed (500): try again later", True),
        (status_error(503, "Loading\nmodel."), "failed", "failed (503): Loading model: try again later", True),
        (status_error(502, **{"Retry-After": "7"}), "failed", "failed (502): try again in 7 s", True),
        (status_error(408), "failed", "failed (408)", True),
        (status_error(400, "too long"), "rejected", "refuses the request (400): too long.", False),
        (status_error(400, ["odd"]), "rejected", "refuses the request (400).", False),
        (openai.APIError("x", REQUEST, body=None), "failed", "failed while it answered.", True),
        (ValueError("no JSON"), "garbage", "said something that is no answer", True),
    ],
)
def test_each_error_has_its_sentence(error: Exception, kind: str, sentence: str, may_pass: bool) -> None:
    trouble = trouble_of(error, ASKED)
    assert (trouble.kind, trouble.may_pass) == (kind, may_pass)
    assert sentence in trouble.sentence
    assert trouble.sentence[-1] in ".?"
    assert "http://models.test/v1" in trouble.sentence
    assert trouble.to_metadata()["sentence"] == str(trouble) == trouble.sentence


def test_metadata_tell_the_status_where_there_is_one() -> None:
    assert trouble_of(status_error(429), ASKED).to_metadata()["status"] == 429
    assert "status" not in trouble_of(connection_error(), ASKED).to_metadata()


def test_without_a_model_none_is_named() -> None:
    sentence = trouble_of(status_error(404), Asked("http://models.test")).sentence
    assert sentence.startswith("The server at http://models.test is no OpenAI-compatible one")


@pytest.mark.promise("P-BRAIN-4")
def test_what_a_server_says_is_short_on_one_line_and_without_the_key() -> None:
    said = f"bad key s3cret\x1b[2J\u202e {'x' * 999}"
    for error in (
        status_error(400, said),
        status_error(500, said),
        openai.APIError("x", REQUEST, body={"message": said}),
    ):
        sentence = trouble_of(error, ASKED).sentence
        assert "bad key …[2J x" in sentence
        assert "s3cret" not in sentence
        assert sentence.isprintable()
        assert len(sentence) < 350


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e99"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 99 Foo 9999 00:00:00 GMT"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], wanted: float | None) -> None:
    assert retry_after_s(headers) == wanted


def test_retry_after_may_be_a_date() -> None:
    wait_s = retry_after_s({"retry-after": email.utils.formatdate(time.time() + 100, usegmt=True)})
    assert wait_s is not None
    assert 90 < wait_s <= 100


def test_pauses_grow_are_spread_and_end() -> None:
    trouble = trouble_of(connection_error(), ASKED)
    assert [pause(trouble, attempt) for attempt in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, None]
    assert [pause(trouble, attempt, chance=0.0) for attempt in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert pause_s(trouble, 9, retries=20, most_s=10, chance=1.0) == 10


def test_what_does_not_pass_is_not_tried_again() -> None:
    assert pause(trouble_of(status_error(401), ASKED)) is None


def test_a_server_that_names_a_pause_gets_it_unless_it_is_too_long() -> None:
    assert pause(trouble_of(status_error(429, **{"Retry-After": "7"}), ASKED)) == 7
    assert pause(trouble_of(status_error(503, **{"Retry-After": "0"}), ASKED), chance=0.0) == 0
    assert pause(trouble_of(status_error(429, **{"Retry-After": "11"}), ASKED)) is None
