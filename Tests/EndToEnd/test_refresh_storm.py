"""200 requests on three replicas at the moment at which a token ends, and a provider that takes two seconds and ends a session
whose refresh token is used twice: one token call, and everyone is served.

A few rounds in every run; `CLOAKROOM_SOAK` makes it a hundred. `scripts/soak` does that.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path

import pytest
import requests

from support.gateway import Gateway, new_key
from support.login import log_in
from support.ports import free_port
from support.providers import DJANGO, Provider
from support.redis_server import RedisServer
from support.servers import Servers
from support.storm import Asker, TokenAPI, connect_all, until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(not DJANGO.is_installed, reason="needs the provider that punishes a refresh token used twice"),
]

IS_SOAK = "CLOAKROOM_SOAK" in os.environ
ROUNDS = 100 if IS_SOAK else 5
HANG_UPS = 20 if IS_SOAK else 2
REQUESTS = 200
# A request waits for the refresh in the last quarter of a token's life, which is a second of these.
LIFETIME = 4
DELAY = 2.0


class Site:
    """Three replicas, and one user."""

    def __init__(self, servers: Servers, directory: Path, **settings: str) -> None:
        port = free_port()
        url = f"http://localhost:{port}"
        self.redis = servers.add(RedisServer(directory / "redis")).launch()
        self.provider = servers.add(
            Provider(DJANGO, directory / "provider", url, LIFETIME, token_delay=(DELAY, 0))
        ).launch()
        self.api = servers.enter_context(TokenAPI())
        self.replicas = [
            servers.add(
                Gateway(
                    directory / f"replica-{number}", f"replica-{number}", port if number == 1 else None, PUBLIC_URL=url,
                    REDIS_URL=self.redis.url, UPSTREAM_URL=self.api.url, **self.provider.settings, **settings)
            ).launch_ready()
            for number in (1, 2, 3)
        ]
        self.session = log_in(requests.Session(), url, self.provider)

    @property
    def calls(self) -> int:
        """The token calls that have come to the provider."""
        return self.provider.log().count("token call came\n")

    def askers(self, count: int) -> list[Asker]:
        return [Asker(self.replicas[number % 3], self.session) for number in range(count)]


async def last_quarter(refreshed: float) -> None:
    """Waits for a moment at which every request waits for a new token: shortly before or after the end of the old one, whose
    life began at `refreshed` or a little earlier."""
    now = asyncio.get_running_loop().time()
    await asyncio.sleep(max(0, refreshed + LIFETIME + random.uniform(-0.9, 0.1) - now))


@pytest.mark.parametrize("form", ["plain", "sealed"] if IS_SOAK else ["sealed"])
def test_r21_r22_200_requests_at_the_moment_of_expiry(servers: Servers, tmp_path: Path, form: str) -> None:
    """Nobody gets the token that ends, and a round that used a refresh token twice would end the session."""
    site = Site(servers, tmp_path, **({"SESSION_KEYS": new_key(tmp_path)} if form == "sealed" else {}))

    async def storm() -> None:
        loop = asyncio.get_running_loop()
        refreshed, last = loop.time(), ""
        for number in range(ROUNDS):
            askers = site.askers(REQUESTS)
            await connect_all(askers)
            calls, seen = site.calls, len(site.api.tokens)
            await last_quarter(refreshed)
            for asker in askers:
                asker.send()
            answers = await asyncio.gather(*[asker.receive() for asker in askers])
            refreshed = loop.time()
            for asker in askers:
                asker.close()
            statuses = [status for status, _ in answers]
            assert statuses == [200] * REQUESTS, f"round {number}: {sorted(set(answers))}\n{site.replicas[0].log_tail()}"
            assert site.calls == calls + 1, f"round {number}: {site.calls - calls} token calls"
            tokens = {token for _, token in answers}
            assert tokens == set(site.api.tokens[seen:]) and len(tokens) == 1 and last not in tokens, f"round {number}"
            [last] = tokens

    asyncio.run(storm())


def test_r21_r22_clients_that_hang_up_cancel_nothing(servers: Servers, tmp_path: Path) -> None:
    """Those who asked for the refresh are gone before the provider answers: its tokens are stored all the same, for those who
    stayed and for those who come."""
    site = Site(servers, tmp_path)

    def stored() -> str:
        record = site.redis.client().get("session:" + site.session)
        assert record, "the session has ended"
        return str(json.loads(record)["tokens"]["access_token"])

    async def rounds() -> None:
        loop = asyncio.get_running_loop()
        refreshed = loop.time()
        for number in range(HANG_UPS):
            first, others = site.askers(60), site.askers(60)
            await connect_all(first + others)
            calls, old = site.calls, stored()
            await last_quarter(refreshed)
            for asker in first:
                asker.send()
            await until("the provider is asked", lambda: site.calls > calls)
            # Every other time nobody stays.
            staying = others if number % 2 else []
            for asker in staying:
                asker.send()
            for asker in first:
                asker.close()
            answers = await asyncio.gather(*[asker.receive() for asker in staying])
            assert {status for status, _ in answers} <= {200}, answers
            await until("the new tokens are stored", lambda: stored() != old)
            refreshed = loop.time()
            for asker in [asker for asker in others if asker not in staying]:
                asker.send()
                assert await asker.receive() == (200, stored())
            assert site.calls == calls + 1
            for asker in others:
                asker.close()

    asyncio.run(rounds())
