"""The folder of an export in parts: whole or not there, and in place of ours alone."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.definitions.builtin import FORECAST_BASIC
from ai_hub.definitions.values import TimeRange, to_micros
from ai_hub.errors import ExportFailed, ExportTaken, InvalidInput
from ai_hub.export import folder, output, summed, sweep
from ai_hub.export.beside import keep_beside
from ai_hub.export.job import ExportJob
from ai_hub.export.parquet import write_export
from ai_hub.export.place import Places, partial_name
from ai_hub.export.rows import Rows
from ai_hub.export.verify import verify
from ai_hub.serving.spec import spec_of

T = datetime(2025, 10, 9, tzinfo=UTC)
NAMES = {"manifest.json", "part-00000.parquet", "part-00001.parquet", "part-00002.parquet"}


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FeatureStore]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ai_hub.stores.chunks.CHUNK_ROWS", 4)
    monkeypatch.setattr(output, "PART_ROWS", 8)
    settings = Settings(
        database_url=f"duckdb:///{tmp_path}/f.duckdb", export_root=tmp_path / "exports"
    )
    async with FeatureStore(settings) as opened:
        await opened.ingest(
            [{"timestamp": T + timedelta(hours=h), "asset_id": "a", "value": 1.0 * h}
             for h in range(22)], "t",
        )  # fmt: skip
        yield opened


async def export(store: FeatureStore, path: Path | str | None, **how: Any) -> dict[str, Any]:
    return await store.export_features_to_parquet(
        "t", "forecast_basic", T, T + timedelta(hours=30), path, parts=True, **how
    )


def state(record: dict[str, Any]) -> str:
    return verify(Places(), record)


async def test_it_is_named_as_a_file_would_be_and_nothing_hidden_stays(
    store: FeatureStore, tmp_path: Path
) -> None:
    record = await export(store, None)
    path = tmp_path / "exports" / f"forecast_basic_{record['export_id']}"
    assert record["storage_path"] == str(path)
    assert {*os.listdir(path)} == NAMES
    assert os.listdir(path.parent) == [path.name]
    assert path.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in path.iterdir()} == {0o600}
    assert state(record) == "ok"
    inside = await export(store, Path("deep/train"), in_tenant_folder=True)
    assert inside["storage_path"] == str(tmp_path / "exports" / "t" / "deep" / "train")


@pytest.mark.parametrize("atomic", [True, False])
async def test_one_of_ours_is_replaced(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    if not atomic:
        monkeypatch.setattr(folder.ctypes, "CDLL", lambda *_, **how: object())
    (tmp_path / "train").mkdir()
    old = await export(store, "train")
    new = await export(store, "train", asset_ids=["a"])
    assert (
        json.loads((tmp_path / "train" / "manifest.json").read_text())["export_id"]
        == (new["export_id"])
    )
    assert [one["replaced_by"] for one in await store.exports()] == [None, new["export_id"]]
    assert (state(new), state(old)) == ("ok", "changed")
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def other_file(path: Path) -> None:
    path.write_text("x")


def link(path: Path) -> None:
    path.symlink_to(path.parent)


def with_more(path: Path) -> None:
    (path / "notes.txt").write_text("x")


def without_manifest(path: Path) -> None:
    (path / "manifest.json").unlink()


def with_another(text: str) -> Callable[[Path], None]:
    return lambda path: [(path / "manifest.json").write_text(text)].clear()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("make", [other_file, link])
async def test_what_is_no_folder_is_never_replaced(
    store: FeatureStore, tmp_path: Path, force: bool, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "x")
    with pytest.raises(InvalidInput, match=r"output_path.*--parts"):
        await export(store, "x", force=force)
    assert (tmp_path / "x").exists()
    assert await store.exports() == []


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        with_more, without_manifest, with_another(""), with_another("[]"), with_another("{}"),
        with_another('{"manifest": 1}'), with_another('{"manifest": 1, "parts": [1]}'),
        with_another('{"manifest": 1, "parts": [{"path": "../f.duckdb"}]}'),
        with_another('{"manifest": 2, "parts": []}'),
    ],
)  # fmt: skip
async def test_a_folder_with_anything_else_is_never_replaced(
    store: FeatureStore, tmp_path: Path, force: bool, change: Callable[[Path], None]
) -> None:
    await export(store, "train")
    change(tmp_path / "train")
    before = {path.name: path.read_bytes() for path in (tmp_path / "train").iterdir()}
    with pytest.raises(InvalidInput, match=r"output_path.*no export wrote"):
        await export(store, "train", force=force)
    assert {path.name: path.read_bytes() for path in (tmp_path / "train").iterdir()} == before
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("name", ["f.duckdb", "f.duckdb.tmp", "f.duckdb.wal", "f.duckdb.tmp/x"])
async def test_the_places_of_the_database_are_none(store: FeatureStore, name: str) -> None:
    with pytest.raises(InvalidInput, match="output_path"):
        await export(store, name)


async def test_one_file_does_not_replace_a_folder(store: FeatureStore, tmp_path: Path) -> None:
    record = await export(store, "train")
    with pytest.raises(InvalidInput, match="not of a directory"):
        await store.export_features_to_parquet("t", "forecast_basic", T, T, "train", force=True)
    assert state(record) == "ok"


async def test_what_came_meanwhile_is_not_replaced(store: FeatureStore, tmp_path: Path) -> None:
    def comes(rows: int) -> None:
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train" / "mine").write_text("x")

    with pytest.raises(InvalidInput, match="no export wrote"):
        await export(store, "train", progress=comes)
    assert os.listdir(tmp_path / "train") == ["mine"]
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("room", [0, 1, 3, 7])
async def test_a_full_disk_leaves_nothing(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    written = []

    def write(file: summed.SummedFile, data: bytes | memoryview) -> None:
        path = "/dev/full" if len(written) == room else f"/dev/fd/{file.handle}"
        with open(path, "ab", 0) as opened:
            written.append(opened.write(data))

    monkeypatch.setattr(summed.SummedFile, "write", write)
    with pytest.raises(ExportFailed, match="No space left"):
        await export(store, "out/train")
    assert os.listdir(tmp_path / "out") == []
    (record,) = await store.exports()
    assert record["status"] == "failed"


async def test_verify_looks_at_each_part(store: FeatureStore, tmp_path: Path) -> None:
    record = await export(store, "train")
    path = tmp_path / "train"
    part = path / "part-00001.parquet"
    content = part.read_bytes()
    for change, undo, expected in (
        (
            lambda: part.write_bytes(content[:-1] + b"x"),
            lambda: part.write_bytes(content),
            "changed",
        ),
        (part.unlink, lambda: part.write_bytes(content), "missing"),
        (
            lambda: (path / "part-00003.parquet").write_bytes(content),
            (path / "part-00003.parquet").unlink,
            "changed",
        ),
        (lambda: path.rename(tmp_path / "x"), lambda: (tmp_path / "x").rename(path), "missing"),
    ):
        change()
        assert state(record) == expected
        undo()
        assert state(record) == "ok"
    with_another("{}")(path)
    assert state(record) == "changed"


@pytest.mark.parametrize("moment", ["half", "whole", "in place", "exchanged"])
async def test_a_sweep_finds_what_a_stopped_process_left(
    store: FeatureStore, tmp_path: Path, moment: str
) -> None:
    record = await export(store, "train")
    partial = tmp_path / partial_name("train", record["export_id"])
    log: Any = store._open.store.export_log
    (found,) = await log.find(export_id=record["export_id"])
    match moment:
        case "half":
            (tmp_path / "train").rename(partial)
            (partial / "manifest.json").unlink()
            found = replace(found, checksum=None)
        case "whole":
            (tmp_path / "train").rename(partial)
        case "exchanged":
            # The one that it replaced.
            partial.mkdir()
            for name in NAMES:
                (partial / name).write_bytes(b"old")
    await log.record(replace(found, status="processing", completed_at=None))
    log._under_way.clear()
    assert await sweep.sweep(log, Places(), lambda: 0) == 1
    (found,) = await log.find(export_id=record["export_id"])
    in_place = moment in ("in place", "exchanged")
    assert found.status == ("completed" if in_place else "pending")
    assert (tmp_path / "train").exists() == in_place
    # Who takes it up goes on from what is there.
    assert partial.exists() == (not in_place)


async def test_a_copy_is_the_same(store: FeatureStore, tmp_path: Path) -> None:
    record = await export(store, "train")
    place = Places().place(tmp_path / "copy")
    folder.copy_folder(tmp_path / "train", place)
    for name in NAMES:
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "train" / name).read_bytes()
    assert state(record | {"storage_path": str(tmp_path / "copy")}) == "ok"
    assert pq.read_metadata(tmp_path / "copy" / "part-00002.parquet").num_rows > 0


async def test_the_record_of_a_folder_stands_beside_it(store: FeatureStore, tmp_path: Path) -> None:
    record = await export(store, "train")
    (found,) = await store._open.store.export_log.find(export_id=record["export_id"])
    with folder.folder_draft(Places().place(tmp_path / "train"), "1") as draft:
        draft.conclude({})
        draft.finish()
        draft.publish()
        keep_beside(draft, found)
    said = json.loads((tmp_path / "train.export.json").read_text())
    assert said["export_id"] == record["export_id"]
    assert os.listdir(tmp_path / "train") == ["manifest.json"]


class _Killed(Exception):
    """Its process ended."""


async def stopped_after(store: FeatureStore, draft: folder.FolderDraft, parts: int) -> None:
    """Write an export until some of its parts are written down, and stop there."""

    def killed(rows: int) -> None:
        if rows > 8 * parts:
            raise _Killed

    with pytest.raises(_Killed):
        await asyncio.to_thread(write_export, job(), scan(store), draft, killed)
    draft.kept = True


def job() -> ExportJob:
    return ExportJob(
        Rows("t", spec_of(FORECAST_BASIC, "keep").plan, "keep"),
        TimeRange(to_micros(T), to_micros(T + timedelta(hours=30))),
    )


def scan(store: FeatureStore) -> Any:
    return store._open.store.scan(job().scan_request())


def content(path: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in path.iterdir()}


@pytest.mark.parametrize("parts", [0, 1, 2])
@pytest.mark.parametrize("change", ["none", "half line", "half part", "lost part", "more rows"])
async def test_one_that_was_kept_goes_on_as_if_it_had_never_stopped(
    store: FeatureStore, tmp_path: Path, parts: int, change: str
) -> None:
    place, partial = Places().place(tmp_path / "train"), tmp_path / partial_name("train", "1")
    with folder.folder_draft(Places().place(tmp_path / "whole"), "1") as draft:
        await asyncio.to_thread(write_export, job(), scan(store), draft)
        draft.finish()
        draft.publish()
    with folder.folder_draft(place, "1") as draft:
        await stopped_after(store, draft, parts)
    match change:
        case "half line":
            with (partial / "journal.jsonl").open("a") as file:
                file.write('{"path": "part-0000')
        case "half part" if parts:
            (partial / "part-00000.parquet").write_bytes(b"PAR1")
        case "lost part" if parts:
            (partial / "part-00000.parquet").unlink()
        case "more rows" if parts:
            # Behind where it stopped: an export that had not stopped would not have them either.
            row = {"timestamp": T + timedelta(minutes=90), "asset_id": "a", "value": 5.0}
            await store.ingest([row], "t")
    told: list[int] = []
    with folder.folder_draft(place, "1") as draft:
        lost = change in ("half part", "lost part")
        assert (draft.after is not None) == (parts > 0 and not lost)
        written = await asyncio.to_thread(write_export, job(), scan(store), draft, told.append)
        draft.finish()
        draft.publish()
    assert written.rows == told[-1] == 22
    assert {*os.listdir(tmp_path / "train")} == NAMES
    if change != "more rows":
        assert content(tmp_path / "train") == content(tmp_path / "whole")
    assert not partial.exists()


@pytest.mark.parametrize(
    "half", ['{"path": "part-0000', '{"path": "part-00001.parquet"}\n', "\0\0\n"]
)
async def test_one_that_stopped_amid_a_line_goes_on_twice(
    store: FeatureStore, tmp_path: Path, half: str
) -> None:
    place, partial = Places().place(tmp_path / "train"), tmp_path / partial_name("train", "1")
    with folder.folder_draft(place, "1") as draft:
        await stopped_after(store, draft, 1)
    with (partial / "journal.jsonl").open("a") as file:
        file.write(half)
    with folder.folder_draft(place, "1") as draft:
        assert len(draft.finished) == 1
        await stopped_after(store, draft, 2)
    with folder.folder_draft(place, "1") as draft:
        assert len(draft.finished) == 2
        written = await asyncio.to_thread(write_export, job(), scan(store), draft)
        draft.finish()
        draft.publish()
    assert written.rows == 22


async def test_two_processes_never_write_one_export(store: FeatureStore, tmp_path: Path) -> None:
    place = Places().place(tmp_path / "train")
    with folder.folder_draft(place, "1") as draft:
        await stopped_after(store, draft, 1)
        with (
            pytest.raises(ExportTaken),
            folder.folder_draft(place, "1"),
        ):
            pass
        folder.remove_partial_folder(place, "1")
        assert "journal.jsonl" in os.listdir(tmp_path / partial_name("train", "1"))
    folder.remove_partial_folder(place, "1")
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]
