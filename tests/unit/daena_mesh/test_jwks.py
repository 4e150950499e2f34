"""Public keys from an address: cached, rotated, and never asked for more often than it may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from daena_mesh.errors import ConfigurationError, InvalidToken
from daena_mesh.fetching import fetch
from daena_mesh.jwks import Jwks
from daena_mesh.public_keys import PublicKeys, read_pem
from daena_mesh.settings import load
from daena_mesh.tokens import Keyring, TokenSettings
from tests.support.deadlines import eventually, within
from tests.support.signers import ALGORITHMS, Signer, key_server

pytestmark = pytest.mark.promise("P-TOKEN-10")

FOR_EVER_S = 3_600.0


def believes(keyring: Keyring, shown: str) -> bool:
    try:
        keyring.verify(shown.encode(), time.time())
    except InvalidToken:
        return False
    return True


@asynccontextmanager
async def running(jwks: Jwks, changes: list[int] | None = None) -> AsyncIterator[Keyring]:
    task = asyncio.create_task(jwks.run(lambda: changes.append(len(jwks.keys)) if changes is not None else None))
    try:
        yield Keyring([], public=PublicKeys([], jwks))
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def settled(keyring: Keyring, shown: str) -> bool:
    async with within():
        await keyring.settled(shown.encode())
    return believes(keyring, shown)


async def test_keys_of_every_algorithm_are_fetched() -> None:
    signers = [Signer(alg, alg.lower()) for alg in ALGORITHMS]
    async with key_server(*signers) as server, running(jwks := Jwks(server.url)) as keyring:
        assert not jwks.is_known
        assert all([await settled(keyring, signer.token()) for signer in signers])
        assert not keyring.is_blind
        assert len(server.asked) == 1
        for signer in signers:
            signer.kid = None
            assert believes(keyring, signer.token())
        assert b"\r\nConnection: close\r\n" in server.asked[0]


async def test_who_comes_before_the_first_fetch_waits_for_it_and_all_for_one() -> None:
    signer = Signer("EdDSA", "k")
    async with key_server(signer) as server, running(Jwks(server.url)) as keyring:
        server.may_answer.clear()
        asking = [asyncio.create_task(settled(keyring, signer.token())) for _ in range(20)]
        await eventually(lambda: server.asked)
        asking[0].cancel()
        server.may_answer.set()
        with suppress(asyncio.CancelledError):
            await asking[0]
        assert await asyncio.gather(*asking[1:]) == [True] * 19
        assert len(server.asked) == 1


async def test_an_unknown_key_is_asked_for_and_not_more_often_than_it_may_be() -> None:
    old, new = Signer("ES256", "old"), Signer("ES256", "new")
    async with key_server(old) as server, running(Jwks(server.url, pause_s=0)) as keyring:
        assert await settled(keyring, old.token())
        assert not await settled(keyring, new.token())
        asked = len(server.asked)
        server.publish(old, new)
        assert await settled(keyring, new.token())
        assert await settled(keyring, old.token())
        assert len(server.asked) == asked + 1
    async with key_server(old) as server, running(Jwks(server.url, pause_s=FOR_EVER_S)) as keyring:
        assert await settled(keyring, old.token())
        server.publish(old, new)
        for number in range(1_000):
            assert not await settled(keyring, new.token(head={"kid": f"k{number}"}) if number else new.token())
        assert len(server.asked) == 1


async def test_what_names_no_key_that_could_come_asks_for_none() -> None:
    signer = Signer("ES256", "k")
    async with key_server(signer) as server, running(Jwks(server.url, pause_s=0)) as keyring:
        assert await settled(keyring, signer.token())
        head, _, rest = Signer("ES256", "k").token().partition(".")
        for shown in (f"{head}.{rest}", "", "x", "..", "e30.e30.e30", "eyJhbGciOiJIUzI1NiJ9.e30.x"):
            assert keyring.awaited(shown.encode()) is None
        assert keyring.awaited(Signer("RS256", "k").token().encode()) is not None
        assert len(server.asked) == 1


async def test_a_key_that_is_no_longer_published_counts_no_more() -> None:
    old, new = Signer("RS256", "old"), Signer("ES256", "new")
    changes: list[int] = []
    async with key_server(old) as server, running(Jwks(server.url, pause_s=0), changes) as keyring:
        assert await settled(keyring, old.token())
        _, key = keyring.examine(old.token().encode(), time.time())
        assert keyring.counts(key)
        server.publish(new)
        assert await settled(keyring, new.token())
        assert not believes(keyring, old.token())
        assert not keyring.counts(key)
        await eventually(lambda: changes == [1, 1])


async def test_keys_are_fetched_again_now_and_then() -> None:
    old, new = Signer("EdDSA", "k"), Signer("EdDSA", "k")
    async with key_server(old) as server, running(Jwks(server.url, refresh_s=0.02, pause_s=0)) as keyring:
        assert await settled(keyring, old.token())
        server.publish(new)  # under the same name, which nobody asks for again
        await eventually(lambda: believes(keyring, new.token()))
        assert not believes(keyring, old.token())


async def test_keys_are_kept_while_the_address_is_away_but_not_for_ever() -> None:
    signer, other = Signer("ES256", "k"), Signer("ES256", "other")
    async with key_server(signer) as server:
        jwks = Jwks(server.url, refresh_s=0.01, pause_s=0.01, kept_s=FOR_EVER_S)
        changes: list[int] = []
        async with running(jwks, changes) as keyring:
            assert await settled(keyring, signer.token())
            await server.stop()
            failed = jwks.failures
            await eventually(lambda: jwks.failures > failed + 2)
            assert believes(keyring, signer.token())
            await server.start()
            for wrong in (b"{}", b"<html>", b'{"keys":[]}'):
                server.say(wrong)
                failed = jwks.failures
                await eventually(lambda failed=failed: jwks.failures > failed + 1)  # type: ignore[misc]
                assert believes(keyring, signer.token())
            server.publish(signer, other)
            assert await eventually(lambda: believes(keyring, other.token()))
            await server.stop()
            jwks._kept_s = 0
            await eventually(lambda: keyring.is_blind)
            assert not believes(keyring, signer.token())
            assert changes[-1] == 0
            await server.start()
            await eventually(lambda: believes(keyring, signer.token()))


async def test_keys_of_a_file_count_beside_those_of_the_address() -> None:
    given, fetched = Signer("ES256", "given"), Signer("ES256", "fetched")
    async with key_server(fetched) as server:
        jwks = Jwks(server.url, pause_s=0)
        async with running(jwks):
            keyring = Keyring([], public=PublicKeys([read_pem(given.public_pem)], jwks))
            assert await settled(keyring, fetched.token())
            assert await settled(keyring, given.token())
            assert keyring.awaited(given.token().encode()) is None
            assert keyring.awaited(Signer("ES256", "third").token().encode()) is jwks


async def test_whoever_asks_too_early_waits_and_an_end_lets_them_go() -> None:
    async with key_server(Signer("ES256", "k")) as server, key_server() as other:
        jwks = Jwks(server.url, pause_s=FOR_EVER_S)
        async with running(jwks):
            await eventually(lambda: jwks.is_known)
            waits = asyncio.create_task(jwks.fetched())
            for _ in range(20):
                await fetch(other.url)
            assert (len(server.asked), waits.done()) == (1, False)
        async with within():
            await waits


async def test_an_end_lets_everybody_go() -> None:
    async with key_server() as server:
        server.may_answer.clear()
        jwks = Jwks(server.url)
        async with running(jwks):
            waits = asyncio.create_task(jwks.fetched())
            await eventually(lambda: server.asked)
        async with within():
            await waits


def test_the_address_is_a_setting_that_is_checked() -> None:
    keyring = Keyring.load(load(TokenSettings, {"MESH_JWKS_URL": "https://login.example/keys"}))
    assert keyring is not None
    assert keyring.source is not None
    assert keyring.is_blind
    with pytest.raises(ConfigurationError, match=r"^MESH_JWKS_URL: it must be https"):
        Keyring.load(load(TokenSettings, {"MESH_JWKS_URL": "http://login.example/keys"}))
