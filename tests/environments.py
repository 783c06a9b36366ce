"""Environments of their own: libraries that want other versions beside them than ours.

`make` makes `build/env-NAME` of the extra NAME (`make test-all` makes them all).
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_TESTS = Path(__file__).parent
_BUILD = _TESTS.parent / "build"


def folder(name: str) -> Path:
    """Where an environment is, or would be."""
    return _BUILD / f"env-{name}"


def python(name: str) -> Path:
    """Its interpreter."""
    return folder(name) / "bin" / "python"


def absent(name: str) -> str | None:
    """Why an environment cannot be used; None where it can."""
    if (folder(name) / "made").exists():
        return None
    return f"there is no environment of the extra {name}: make build/env-{name}/made"


def run_tests(name: str, file: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in a file of `apart/` there, apart from our settings of pytest."""
    path = os.pathsep.join([str(python(name).parent), os.environ["PATH"]])
    pytest = [python(name), "-m", "pytest", "-q", "-c", os.devnull, "--noconftest"]
    return subprocess.run(
        [*pytest, "-p", "no:cacheprovider", "-W", "ignore", _TESTS / "apart" / file],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(_TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
