"""Files without a name: nothing of them is to be seen, and nothing is left."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ai_hub.errors import ExportFailed
from ai_hub.export.nameless import nameless
from ai_hub.export.place import Places


def test_nobody_else_sees_it_and_nothing_is_left(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "exports"
    with nameless(Places(root)) as file:
        file.write(b"much")
        assert not list(root.iterdir())
        assert os.fstat(file.fileno()).st_dev == root.stat().st_dev
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert not list(root.iterdir())


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "exports").write_bytes(b"")
    with pytest.raises(ExportFailed, match=f"export_root: {tmp_path}/exports cannot be written"):
        nameless(Places(tmp_path / "exports"))
