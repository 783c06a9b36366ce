"""The README's small job, done in a directory: the readings, the training set and the model."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from docs_blocks import ROOT, blocks, commands

_PYTHON = ("meters.csv", "HistGradientBoostingRegressor")
_COMMANDS = ("ai-hub ingest ", "ai-hub export ")


def follow_readme() -> dict[str, Any]:
    """Do it in the working directory; the names that its Python leaves (`model`, `table` ...)."""
    names: dict[str, Any] = {"__name__": "__main__"}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for block in blocks((ROOT / "README.md").read_text("utf-8")):
        if block.lang == "python" and any(word in block.text for word in _PYTHON):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(block.text, names)
        elif block.lang == "console":
            for command, _, _ in commands(block):
                if command.startswith(_COMMANDS):
                    done = subprocess.run(
                        ["bash", "-c", command],
                        env={**os.environ, "PATH": path},
                        capture_output=True,
                        text=True,
                    )
                    assert done.returncode == 0, done.stdout + done.stderr
    return names
