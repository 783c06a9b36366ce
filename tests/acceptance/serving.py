"""A server as its own process, for as long as a test needs it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx


@dataclass(frozen=True)
class Server:
    """A running server, a client of it, and the folder it works in."""

    client: httpx.Client
    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    def call(
        self, method: str, path: str, body: object = None, status: int = 200, **more: Any
    ) -> Any:
        """The JSON that a feature route answers with, its status being the one expected."""
        if body is not None:
            more["json"] = body
        response = self.client.request(method, f"/ai/features{path}", **more)
        assert response.status_code == status, response.text
        return response.json()

    def refusal(self, method: str, path: str, body: object = None, status: int = 422) -> str:
        """The sentence with which a request is refused: it begins with the field."""
        problem = self.call(method, path, body, status)
        assert problem.keys() == {"detail", "field"}
        detail: str = problem["detail"]
        assert detail.startswith(f"{problem['field']}: got ")
        assert ", expected " in detail
        return detail

    def raw(self, sent: bytes) -> bytes:
        """What comes back for bytes on a connection of their own, which the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=120) as connection:
            connection.sendall(sent)
            return b"".join(iter(lambda: connection.recv(65_536), b""))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """This process's environment with these settings and no others."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith("AI_HUB_")}
    return plain | {f"AI_HUB_{name.upper()}": str(value) for name, value in settings.items()}


@contextmanager
def serving(command: Sequence[str], folder: Path, **settings: object) -> Iterator[Server]:
    """`command` run in `folder`, from when it listens until the block ends."""
    port = free_port()
    chosen = {"export_root": folder / "exports", "port": port} | settings
    log = folder / "log.txt"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command, cwd=folder, env=environment(chosen), stdout=errors, stderr=errors
        ) as process,
    ):
        try:
            while not listens(port):
                assert process.poll() is None, log.read_text()
                time.sleep(0.02)
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False
            ) as client:
                yield Server(client, port, folder, process)
        finally:
            process.terminate()
            process.wait(120)
    # Whatever was asked, however odd, ended in no exception that nobody expected.
    assert "Traceback" not in log.read_text(), log.read_text()
