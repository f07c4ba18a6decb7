"""A replica that is asked to stop answers what it has begun, and then ends with code 0."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from support.api import API
from support.gateway import Gateway
from support.records import put, record
from support.redis_server import RedisServer
from support.servers import Servers
from support.wait import eventually


def refuses(gateway: Gateway) -> bool:
    try:
        gateway.get("/healthz")
    except requests.ConnectionError:
        return True
    return False


def test_a_request_under_way_is_answered_before_the_end(servers: Servers, tmp_path: Path) -> None:
    redis = servers.add(RedisServer(tmp_path / "redis")).launch()
    with ThreadPoolExecutor() as pool, API() as api:
        gateway = servers.add(Gateway(tmp_path / "gateway", REDIS_URL=redis.url, UPSTREAM_URL=api.url)).launch_ready()
        session = put(redis.client(), record("user-1"))
        api.may_answer.clear()
        answer = pool.submit(gateway.get, "/api/slow", session, headers={"X-CSRF": "1"})
        assert api.asked.wait(20)
        code = pool.submit(gateway.stop)
        # Whoever comes now is not served any more; who came before is.
        eventually("no new connection is taken", lambda: refuses(gateway))
        assert not answer.done() and not code.done()
        api.may_answer.set()
        assert answer.result(20).text == "done"
        assert code.result(30) == 0
