"""A wheel as somebody has it who installs it: whole, and of use with nothing else there.

`make dist` runs `python tests/try_wheel.py WHEEL ENVIRONMENT`, the wheel being installed there.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_PATIENCE = 60.0


def main(wheel: Path, environment: Path) -> None:
    """Say what was tried, and end with an error where something is not as it should be."""
    print(f"{wheel.name} holds {whole(wheel)} files, all that there are.")
    command = environment.resolve() / "bin" / "ai-hub"
    folder = environment.resolve() / "tried"
    folder.mkdir()
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.split()[-1] == wheel.name.split("-")[1], said.stdout
    small = ["--no-serve", "--meters", "5", "--days", "60", "--json"]
    done = subprocess.run([command, "demo", *small], cwd=folder, capture_output=True, check=True)
    tour = json.loads(done.stdout)
    rows = tour["export"]["row_count"]
    print(f"The demo took in {tour['readings']} readings and exported {rows} rows.")
    serve(command, folder, tour)


def whole(wheel: Path) -> int:
    """How many files of the package a wheel holds: those that are kept, and no others."""
    listed = subprocess.run(
        ["git", "ls-files", "src/ai_hub"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept = {name.removeprefix("src/") for name in listed.stdout.splitlines()}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == kept, f"not in the wheel: {kept - held}; only there: {held - kept}"
    return len(held)


def serve(command: Path, folder: Path, tour: dict[str, Any]) -> None:
    """A server on what the demo made answers with a vector and with pages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    variables = {"AI_HUB_DATABASE_URL": tour["database"], "AI_HUB_PORT": str(port)}
    with subprocess.Popen([command, "serve"], cwd=folder, env=variables) as process:
        try:
            wait(url, process)
            wanted = {"tenant_id": tour["tenant_id"], "asset_id": tour["asset_id"]}
            body = json.dumps(wanted | {"feature_set": "forecast_basic"}).encode()
            answer = json.loads(fetch(f"{url}/ai/features/get", body))
            assert answer["features"]["lag_1h"] is not None, answer
            first = fetch(url).decode()
            files = re.findall(r'(?:href|src)="(/page/[^"]+\.(?:css|js))', first)
            assert files, first
            for path in ("/docs", "/metrics", *files):
                assert fetch(url + path), path
        finally:
            process.terminate()
    assert process.returncode == 0
    print("A server on it answers with a vector, its page and what that loads.")


def wait(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until a server answers."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        assert process.poll() is None
        try:
            fetch(f"{url}/health")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


def fetch(url: str, body: bytes | None = None) -> bytes:
    """What is at a URL."""
    headers = {"content-type": "application/json"}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, headers)
    with opener.open(request, timeout=30) as answer:
        found: bytes = answer.read()
        return found


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
