"""Ten thousand requests made from the OpenAPI document: all is as it says."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.serving import environment, serving
from ai_hub.access.grant import SCOPES
from watching import COMMAND, eventually, log

HOOKS = Path(__file__).parent
REQUESTS = 10_000
EXAMPLES = 350
"""Requests that are made of each operation, beside those for the edges of each value."""


def made_key(folder: Path) -> str:
    """A key that may do everything."""
    main = "from ai_hub.cli import main; main()"
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    done = subprocess.run(
        [COMMAND[0], "-c", main, "keys", "create", "fuzz", "--all-tenants", *scopes],
        cwd=folder, env=environment({}), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.long
@pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="the fuzzer is not installed"
)
@pytest.mark.parametrize("auth", ["none", "keys"])
def test_what_the_document_says_is_so(tmp_path: Path, auth: str) -> None:
    """No fault of the server, nothing that is not described, and just what is valid is taken."""
    key = "" if auth == "none" else made_key(tmp_path)
    shown = ["--header", f"Authorization: Bearer {key}"] if key else []
    with serving(COMMAND, tmp_path, auth=auth) as server:
        eventually(lambda: log(server, "serving"))
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli",
             "--config-file", str(HOOKS / "schemathesis.toml"), "run",
             "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color", *shown,
             f"http://127.0.0.1:{server.port}/docs/openapi.json"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HOOKS), *sys.path]),
                              "SCHEMATHESIS_HOOKS": "schema_hooks"}
            | ({"FUZZ_KEY_ID": key.split("_")[1]} if key else {}),
            cwd=tmp_path, capture_output=True, text=True, timeout=7_200, check=False,
        )  # fmt: skip
        if key:
            # It was valid all the while.
            listed = server.client.get(
                "/ai/features/keys", headers={"authorization": f"Bearer {key}"}
            )
            assert listed.status_code == 200
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
    made = re.search(r"(\d+) generated", done.stdout)
    assert made is not None
    assert int(made[1]) >= REQUESTS
