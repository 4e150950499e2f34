"""The table from errors to HTTP."""

from __future__ import annotations

import json

import pytest

from daena_mesh import errors
from daena_mesh.errors import MeshError
from mesh_api.problems import INTERNAL, KINDS, Problem, of_status, problem_of, respond

STATUS = {
    errors.InvalidId: 422,
    errors.InvalidSubject: 422,
    errors.InvalidCursor: 422,
    errors.InvalidQuery: 422,
    errors.InvalidToken: 401,
    errors.InvalidEvent: 422,
    errors.NotCovered: 422,
    errors.UnknownSession: 404,
    errors.DeletedSession: 410,
    errors.Conflict: 409,
    errors.MeshUnavailable: 503,
    errors.Unanswered: 500,  # for who asks with the SDK; no call of the API raises it
    errors.EdgeRefused: 500,  # likewise
    errors.ConfigurationError: 500,
    errors.ProvisioningError: 500,
    errors.NatsServerError: 500,
}


def tree(cls: type[MeshError]) -> list[type[MeshError]]:
    return [cls, *(found for child in cls.__subclasses__() for found in tree(child))]


@pytest.mark.parametrize(("error", "status"), STATUS.items())
def test_each_error_has_its_status(error: type[MeshError], status: int) -> None:
    problem = problem_of(error("why"))
    assert problem.kind.status == status
    # What goes on inside is for our log alone.
    assert (problem.detail == "why") is (status < 500)


def test_the_table_leaves_out_no_error_of_the_sdk() -> None:
    own = {cls for cls in tree(MeshError) if cls.__module__ == "daena_mesh.errors"} - {MeshError}
    assert own == set(STATUS)


def test_a_derived_error_is_what_it_derives_from() -> None:
    class Deeper(errors.InvalidEvent):
        pass

    assert problem_of(Deeper("x")).kind is KINDS[errors.InvalidEvent]
    assert problem_of(MeshError("secret")).kind is INTERNAL


@pytest.mark.parametrize(("retry_after_s", "header"), [(1.0, "1"), (0.1, "1"), (2.5, "3")])
def test_unavailable_says_when_to_come_back(retry_after_s: float, header: str) -> None:
    problem = problem_of(errors.MeshUnavailable("away", retry_after_s=retry_after_s))
    assert problem.headers == {"Retry-After": header}


@pytest.mark.promise("P-ERROR-1")
def test_the_body_is_a_problem_detail() -> None:
    response = respond(Problem(of_status(404), "Nothing."), "/" + 300 * "x")
    assert response.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(response.body)) == {
        "type": "urn:daena-mesh:problem:not-found",
        "title": "Not Found",
        "status": 404,
        "detail": "Nothing.",
        "instance": "/" + 199 * "x",
    }
