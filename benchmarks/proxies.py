"""A proxy, of HTTP and of SOCKS5 on one port, that breaks some of its connections."""

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections import Counter
from contextlib import suppress
from random import Random

# How a connection is broken: the last three after the proxy has said that it is made.
FAULTS = ("hangs", "refuses", "closes", "sends garbage", "hangs in TLS")


class Proxy:
    """Connects its clients to ports of this machine, whatever host they name."""

    def __init__(self, share_of_faults: float, rng: Random) -> None:
        self.share_of_faults = share_of_faults
        self.rng = rng
        self.faults: Counter[str] = Counter()

    async def on_connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Connect a client through, or do not."""
        fault = self.rng.choice(FAULTS) if self.rng.random() < self.share_of_faults else ""
        self.faults[f"proxy {fault}"] += bool(fault)
        if fault == "hangs":
            await reader.read()
            return
        is_socks = await reader.readexactly(1) == b"\x05"
        read = _read_socks5 if is_socks else _read_connect
        port, accepted, refused = await read(reader, writer)
        await _write_in_pieces(writer, refused if fault == "refuses" else accepted)
        if fault == "sends garbage":
            writer.write(b"SSH-2.0-OpenSSH\r\n")
        if fault in {"sends garbage", "hangs in TLS"}:
            await reader.read()
        if not fault:
            await _join(reader, writer, port)


async def _read_connect(reader: StreamReader, _: StreamWriter) -> tuple[int, bytes, bytes]:
    """Return the port that is asked for, and what to say if it is reached, and if not."""
    head = await reader.readuntil(b"\r\n\r\n")
    port = re.match(rb"ONNECT \S+:(\d+) ", head)
    accepted = b"HTTP/1.1 200 Connection established\r\n\r\n"
    return int(port[1]) if port else 0, accepted, b"HTTP/1.1 503 Busy\r\n\r\n"


async def _read_socks5(reader: StreamReader, writer: StreamWriter) -> tuple[int, bytes, bytes]:
    """Return the same; what is asked for has a name, not an address."""
    await reader.readexactly((await reader.readexactly(1))[0])
    await _write_in_pieces(writer, b"\x05\x00")
    head = await reader.readexactly(5)
    address = await reader.readexactly(head[4] + 2)
    bound = b"\x00\x03\x09localhost\x01\xbb"
    return int.from_bytes(address[-2:]), b"\x05\x00" + bound, b"\x05\x05" + bound


async def _write_in_pieces(writer: StreamWriter, data: bytes) -> None:
    """Send bytes one by one, as a network may bring them."""
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)


async def _join(reader: StreamReader, writer: StreamWriter, port: int) -> None:
    """Pass on all bytes between a client and a port, until both sides have ended."""
    there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)

    async def pass_on(source: StreamReader, target: StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                target.write(data)
                await target.drain()
        target.close()

    await asyncio.gather(pass_on(reader, there_writer), pass_on(there_reader, writer))
