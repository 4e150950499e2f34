"""Fixtures of the integration tests."""

from __future__ import annotations

from tests.support.api import shared_api

__all__ = ["shared_api"]
