"""Every promise of docs/promises.md is held by a test that carries its name, and no test carries another."""

from __future__ import annotations

from collections import Counter

from tests.support.promises import NAME, held, held_in, promised
from tests.support.tracked import ROOT

DOCUMENT = ROOT / "docs" / "promises.md"


def test_a_promise_is_a_line_that_begins_with_its_name() -> None:
    document = """
    # Promises
    - **P-RESUME-1**: nothing is lost; see P-RESUME-9.
    * `P-WS-CLOSE-12` as told
    | P-TABLE-3 | a row |
    P-PLAIN-4: alone
    Not P-NOT-5, in a sentence.
    """
    assert promised(document) == ["P-RESUME-1", "P-WS-CLOSE-12", "P-TABLE-3", "P-PLAIN-4"]


def test_names_are_found_however_a_marker_is_attached() -> None:
    source = """
import pytest
pytestmark = [pytest.mark.promise("P-MODULE-1")]
@pytest.mark.promise("P-FUNCTION-1", "P-FUNCTION-2")
def test_a(): ...
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.promise("P-CASE-1"))])
def test_b(x): "P-STRING-1"
"""
    assert set(held(source)) == {"P-MODULE-1", "P-FUNCTION-1", "P-FUNCTION-2", "P-CASE-1"}


def test_every_promise_is_held_by_a_test() -> None:
    promises = promised(DOCUMENT.read_text(encoding="utf-8"))
    assert promises
    names = held_in(path for path in (ROOT / "tests").rglob("test_*.py") if path.name != "test_promises.py")
    assert sorted(set(promises) - names) == [], "promised in docs/promises.md, but no test carries the name"
    assert sorted(names - set(promises)) == [], "carried by a test, but not promised in docs/promises.md"


def test_promises_are_made_once_and_named_well() -> None:
    promises = promised(DOCUMENT.read_text(encoding="utf-8"))
    assert [name for name, times in Counter(promises).items() if times > 1] == []
    assert [name for name in promises if not NAME.fullmatch(name)] == []
