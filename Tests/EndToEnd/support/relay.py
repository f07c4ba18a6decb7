"""Passes connections on, between TCP and unix sockets: `relay.py FROM TO`, each `host:port` or a path.

A unix socket is reached from every network namespace, so two relays make a port of one namespace one of another.
"""

from __future__ import annotations

import asyncio
import os
import sys


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main(source: str, target: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if "/" in target:
                other = await asyncio.open_unix_connection(target)
            else:
                host, port = target.rsplit(":", 1)
                other = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, other[1]), copy(other[0], writer))

    if "/" in source:
        if os.path.exists(source):
            os.unlink(source)
        server = await asyncio.start_unix_server(serve, source)
    else:
        host, port = source.rsplit(":", 1)
        server = await asyncio.start_server(serve, host, int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
