"""Lines about exports and the disk, provoked one by one and mended by what they advise."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.doctor.exports import Folder, judge
from ai_hub.stores.checkup import ExportFacts
from ai_hub.stores.export_log import ExportRecord
from doctor.conftest import NOW, Practice, hourly

DAY = ("--start", f"{NOW:%Y-%m-%d}T00:00:00Z", "--end", f"{NOW:%Y-%m-%d}T23:00:00Z")
LINES = ("folder", "space", "exports", "half_files", "files")


def test_a_file_that_was_changed(practice: Practice, any_store: None) -> None:
    practice.ingest(hourly())
    practice.run("export", "--tenant", "acme", "--set", "forecast_basic", *DAY, "--asset", "a",
                 "--output", "exports/a set.parquet")  # fmt: skip
    practice.fine(*LINES)
    with Path("exports/a set.parquet").open("ab") as file:
        file.write(b"x")
    practice.mend(practice.wrong("files", "warning", "1 file was changed", "a set.parquet"))
    practice.fine(*LINES)


def test_an_export_that_nobody_writes(practice: Practice, any_store: None) -> None:
    practice.ingest(hourly())
    stopped = _stopped(practice.folder / "exports" / "x.parquet")
    (practice.folder / "exports").mkdir()
    half = practice.folder / "exports" / f".x.parquet.{stopped}.partial"
    half.write_bytes(b"PAR1")
    os.utime(half, (0, 0))
    mends = practice.wrong("exports", "fault", "processing", stopped)
    practice.fine("half_files")
    practice.mend(mends)
    practice.fine(*LINES)
    assert not half.exists()


def _stopped(path: Path) -> str:
    """The id of an export that a process began, of which nothing was heard since."""
    settings, export_id = Settings.load(), str(uuid.uuid4())

    async def begin() -> None:
        async with FeatureStore(settings) as store:
            await store._open.store.export_log.record(
                ExportRecord(
                    export_id, "acme", "forecast_basic", 1, "processing", str(path), 0, 0, None, 0
                )
            )

    asyncio.run(begin())
    if settings.on_server:
        from ai_hub.stores.postgres.session import session

        async def forget() -> None:
            async with session(settings) as on:
                await on.execute("UPDATE feature_exports SET heartbeat_at = now() - interval '1 h'")

        asyncio.run(forget())
    return export_id


def test_half_files(practice: Practice) -> None:
    half = practice.folder / "exports" / "acme" / f".b c.parquet.{uuid.uuid4()}.partial"
    half.mkdir(parents=True)
    (half / "part-0.parquet").touch()
    practice.fine("half_files")  # it may be under way: nothing of it is old
    os.utime(half, (0, 0))
    practice.mend(practice.wrong("half_files", "warning", "1 half file was"))
    practice.fine("half_files")


def test_a_file_where_the_folder_should_be(practice: Practice) -> None:
    Path("exports").write_text("mine")
    practice.mend(practice.wrong("folder", "fault", "is no folder"))
    practice.fine("folder")
    assert Path("exports.old").read_text() == "mine"


_AS_NOBODY = """
import os, sys
from pathlib import Path
from ai_hub.doctor.disk import look
from ai_hub.doctor.exports import judge
from ai_hub.stores.checkup import ExportFacts
if os.getuid() == 0:
    os.setuid(65534)
line = judge(ExportFacts(), look(Path(sys.argv[1]), None, frozenset(), ()))[0]
print(line.state, line.command)
"""


def test_a_folder_that_cannot_be_written(practice: Practice) -> None:
    # Root may write everywhere, so somebody else has to look.
    with TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "exports"
        folder.mkdir()
        if os.getuid() == 0:
            os.chown(folder, 65534, -1)
        folder.chmod(0o500)

        def seen() -> str:
            run = [sys.executable, "-c", _AS_NOBODY, str(folder)]
            return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()

        state, _, mends = seen().partition(" ")
        assert (state, mends) == ("fault", f"chmod u+rwx {folder}")
        practice.mend(mends)
        assert seen() == "ok None"


@pytest.mark.parametrize(("free", "state"), [
    (100_000_000, "fault"), (1_500_000_000, "warning"), (3_000_000_000, "warning"),
    (80_000_000_000, "ok"),
])  # fmt: skip
def test_room(free: int, state: str, practice: Practice) -> None:
    from ai_hub.doctor.disk import look

    found = look(practice.folder / "exports", None, frozenset(), ())
    disk = replace(found, exports=replace(found.exports, free=free, total=100_000_000_000))
    (line,) = [one for one in judge(ExportFacts(), disk) if one.name == "space"]
    assert line.state == state
    assert line.command == (None if state == "ok" else "export AI_HUB_EXPORT_ROOT=FOLDER")
    assert isinstance(disk.exports, Folder)


_SMALL = 'mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"'


def _spaces(folder: Path, size: str) -> list[dict[str, Any]]:
    """What the command says of room while a file system of this size is mounted on a folder."""
    small = ["unshare", "--map-root-user", "--mount", "sh", "-c", _SMALL, "sh", size, str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*small, "true"], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    doctor = [sys.executable, "-c", "from ai_hub.cli import main; main()", "doctor", "--json"]
    done = subprocess.run([*small, *doctor], check=False, capture_output=True, text=True)
    return [one for one in json.loads(done.stdout)["lines"] if one["line"] == "space"]


@pytest.mark.parametrize(("size", "state"), [("64m", "fault"), ("1g", "warning")])
def test_a_file_system_that_is_full(practice: Practice, size: str, state: str) -> None:
    practice.ingest(hourly())
    folder = practice.folder / "small"
    folder.mkdir()
    practice.set(export_root=folder)
    exports, database = _spaces(folder, size)
    assert (exports["state"], database["state"]) == (state, "ok")
    assert "are free for exports in" in exports["said"]
    practice.mend(exports["command"], FOLDER=practice.folder / "elsewhere")
    assert [one["state"] for one in _spaces(folder, size)] == ["ok", "ok"]


def test_a_database_without_room(practice: Practice) -> None:
    folder = practice.folder / "small"
    folder.mkdir()
    practice.set(database_url=f"duckdb:///{folder}/features.duckdb")
    database, _ = _spaces(folder, "64m")
    assert (database["state"], database["command"]) == ("fault", None)
    assert "make room there, which only you can" in database["said"]
    # Somebody made room.
    assert [one["state"] for one in _spaces(folder, "8g")] == ["ok", "ok"]
