"""The notebooks in `examples/` run, and show what is in them.

`python tests/test_examples.py` writes their outputs anew.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


def ran(path: Path, folder: Path) -> Any:
    """A notebook after all of its cells ran in a folder."""
    # Threads that wait for a busy core are slower than none.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    plain = {name: text for name, text in environment.items() if not name.startswith("AI_HUB_")}
    notebook: Any = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
    )
    return client.execute(env=plain)


def shown(notebook: Any) -> list[str]:
    """What each of its cells prints, in however many pieces it came."""
    return [
        "".join(one["text"] for one in cell.get("outputs", ()) if one["output_type"] == "stream")
        for cell in notebook["cells"]
    ]


@pytest.mark.filterwarnings("ignore")  # of what starts the kernel
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_is_in_it(path: Path, tmp_path: Path) -> None:
    assert shown(ran(path, tmp_path)) == shown(nbformat.read(path, as_version=4))


if __name__ == "__main__":
    for one in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as home:
            nbformat.write(ran(one, Path(home)), one)
        print(one.name, file=sys.stderr)
