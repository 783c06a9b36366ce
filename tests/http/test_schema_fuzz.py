"""Ten thousand requests made from the OpenAPI document: all is as it says."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.serving import serving
from watching import COMMAND, eventually, log

HOOKS = Path(__file__).parent
REQUESTS = 10_000


@pytest.mark.long
@pytest.mark.skipif(
    importlib.util.find_spec("schemathesis") is None, reason="the fuzzer is not installed"
)
def test_what_the_document_says_is_so(tmp_path: Path) -> None:
    """No fault of the server, nothing that is not described, and just what is valid is taken."""
    sent, seed = 0, 1
    with serving(COMMAND, tmp_path) as server:
        eventually(lambda: log(server, "serving"))
        while sent < REQUESTS:
            done = subprocess.run(
                [sys.executable, "-m", "schemathesis.cli",
                 "--config-file", str(HOOKS / "schemathesis.toml"), "run",
                 "--max-examples", "200", "--seed", str(seed), "--no-color",
                 f"http://127.0.0.1:{server.port}/docs/openapi.json"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(HOOKS), *sys.path]),
                                  "SCHEMATHESIS_HOOKS": "schema_hooks"},
                cwd=tmp_path, capture_output=True, text=True, timeout=1_200, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2_000:]
            made = re.search(r"(\d+) generated", done.stdout)
            assert made is not None
            sent += int(made[1])
            seed += 1
