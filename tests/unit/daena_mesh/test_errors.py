from __future__ import annotations

import inspect
import re

import daena_mesh
from daena_mesh import errors
from daena_mesh.errors import MeshError, MeshUnavailable


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)( \(ValueError\))?", errors.__doc__ or "")
    actual = {
        name: issubclass(kind, ValueError)
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, MeshError) and kind is not MeshError
    }
    assert {name: bool(is_value) for name, is_value in drawn} == actual
    assert len(drawn) == len(actual)


def test_every_error_is_exported_and_says_what_it_means() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert name in daena_mesh.__all__
        assert kind.__doc__


def test_unavailable_says_when_to_try_again() -> None:
    assert MeshUnavailable("away").retry_after_s == 1.0
    assert MeshUnavailable("away", retry_after_s=5).retry_after_s == 5
