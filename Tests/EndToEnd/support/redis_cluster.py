"""A Redis Cluster of three primaries on free ports."""

from __future__ import annotations

import subprocess
from pathlib import Path

import redis

from .ports import free_port
from .redis_server import RedisServer
from .servers import Servers
from .wait import eventually


class RedisCluster:
    def __init__(self, servers: Servers, directory: Path) -> None:
        self.nodes = [
            servers.add(
                RedisServer(
                    directory / f"node-{number}", name=f"node-{number}", **{
                        "cluster-enabled": "yes", "cluster-node-timeout": "5000",
                        "cluster-port": str(free_port()),
                    }
                )
            )
            for number in range(3)
        ]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def client(self) -> redis.RedisCluster:
        return redis.RedisCluster(host="127.0.0.1", port=self.nodes[0].port, decode_responses=True)

    def launch(self) -> RedisCluster:
        for node in self.nodes:
            node.launch()
        addresses = [f"127.0.0.1:{node.port}" for node in self.nodes]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "0", "--cluster-yes"],
            check=True, capture_output=True, timeout=60,
        )
        eventually("the cluster is whole", lambda: all(
            "cluster_state:ok" in subprocess.run(
                ["redis-cli", "-p", str(node.port), "CLUSTER", "INFO"], capture_output=True, text=True, timeout=10
            ).stdout for node in self.nodes
        ), within=30)
        return self
