"""A private Redis on a free port, nothing kept on disk; it dies with the process that started it."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import redis

from tests.servers.postgres import ServerMissing, die_with_parent, free_port


class RedisServer:
    """A context manager; `url` is its REDIS_URL."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """REDIS_URL of the server."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Starts it and waits until it answers. Raises ServerMissing, RuntimeError."""
        path = shutil.which("redis-server")
        if path is None:
            raise ServerMissing("Redis is not installed: apt-get install redis-server")
        self._process = subprocess.Popen(
            [path, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=Path("/tmp"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent(),
        )
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            try:
                redis.Redis(port=self.port, socket_timeout=1).ping()
                return self
            except redis.exceptions.ConnectionError:
                time.sleep(0.05)
        raise RuntimeError("Redis did not start")

    def flush(self) -> None:
        """Forgets everything, queue messages included."""
        redis.Redis(port=self.port).flushall()

    def kill(self) -> None:
        """As a crash; `start` brings it back, empty, on the same port."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(15)
            self._process = None

    def stop(self) -> None:
        """Stops it; may be called twice."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)
            self._process = None

    def __enter__(self) -> RedisServer:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
