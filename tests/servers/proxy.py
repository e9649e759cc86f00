"""A TCP proxy that misbehaves: cuts at a byte, stalls, slices or throttles what the server says.

One per test; connections are served by threads and end with `stop`.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

_BODY = re.compile(rb"UID FETCH ([0-9:,]+) \(UID BODY\.PEEK\[\]\)", re.I)


@dataclass
class Mischief:
    """What is done to the bytes from the server; may be changed while running (counts are per connection)."""

    cut_after: int | None = None  # bytes, then the line is dead
    stall_after: int | None = None  # bytes, then nothing more comes
    slice_size: int = 0  # bytes per packet, 0 as they come
    bytes_per_second: int = 0  # 0 without limit
    delay: float = 0.0  # seconds before each packet: a far server
    cut_upstream_after: int | None = None  # bytes of the client
    cut_within: tuple[int, int] | None = None  # each connection is cut at a random byte of this range …
    dice: random.Random = field(default_factory=lambda: random.Random(1))  # … thrown by these


class Proxy:
    """Listens on 127.0.0.1:`port`, speaks to `target_port`."""

    def __init__(self, target_port: int, mischief: Mischief | None = None) -> None:
        self.mischief = mischief or Mischief()
        self.target_port = target_port
        self.connections = 0
        self.open_now = self.most_open = 0  # clients at once
        self._counting = threading.Lock()
        self.from_server = 0
        self.from_client = 0
        self.client_packets = 0
        self.cuts = 0  # at a random byte
        self.bodies: Counter[int] = Counter()  # UID → how often its whole body was asked for
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close everything."""
        self._ending.set()
        # A thread blocked in accept keeps the port alive: knock once.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._listener.close()
        self.drop_all()

    def drop_all(self) -> None:
        """Cut every connection now."""
        for sock in self._open:
            _close(sock)
        self._open.clear()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target_port), timeout=30)
            except OSError:
                return
            for sock in (client, server):
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            with self._counting:
                self.open_now += 1
                self.most_open = max(self.most_open, self.open_now)
            self._open += [client, server]
            threading.Thread(target=self._up, args=(client, server), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client), daemon=True).start()

    def _count_bodies(self, heard: bytes) -> bytes:
        """Count the UIDs of complete commands that fetch whole bodies; what is left of an unfinished line."""
        *lines, rest = heard.split(b"\r\n")
        for line in lines:
            if found := _BODY.search(line):
                for span in found[1].split(b","):
                    low, _, high = span.partition(b":")
                    self.bodies.update(range(int(low), int(high or low) + 1))
        return rest

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        count = 0
        heard = b""
        try:
            while data := client.recv(65536):
                self.from_client += len(data)
                heard = self._count_bodies(heard + data)
                self.client_packets += 1
                limit = self.mischief.cut_upstream_after
                if limit is not None and count + len(data) >= limit:
                    server.sendall(data[: limit - count])
                    break
                count += len(data)
                server.sendall(data)
        except OSError:
            pass
        with self._counting:
            self.open_now -= 1
        _close(client, server)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        count = 0
        within = self.mischief.cut_within
        fate = self.mischief.dice.randint(*within) if within else 0
        try:
            while data := server.recv(65536):
                while data:
                    mischief = self.mischief
                    if fate and count + len(data) >= fate and mischief.cut_within:
                        client.sendall(data[: fate - count])
                        self.cuts += 1
                        _close(client, server)
                        return
                    size = mischief.slice_size or len(data)
                    for limit in (mischief.cut_after, mischief.stall_after):
                        if limit is not None:
                            size = min(size, max(0, limit - count))
                    if size == 0:
                        if mischief.cut_after is not None and count >= mischief.cut_after:
                            _close(client, server)
                            return
                        self._ending.wait(60)
                        return
                    if mischief.delay:
                        time.sleep(mischief.delay)
                    if mischief.bytes_per_second:
                        size = min(size, max(1, mischief.bytes_per_second // 20))
                        time.sleep(size / mischief.bytes_per_second)
                    client.sendall(data[:size])
                    count += size
                    self.from_server += size
                    data = data[size:]
        except OSError:
            pass
        _close(client, server)


def _close(*socks: socket.socket) -> None:
    for sock in socks:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
