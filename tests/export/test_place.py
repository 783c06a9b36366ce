"""Where a file may land, whatever stands there or on the way, and what rights it has."""

# ruff: noqa: ASYNC240  # Nobody waits for these loops.

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_hub import FeatureStore
from ai_hub.config import Settings
from ai_hub.errors import ExportFailed, InvalidInput, StoreUnavailable
from ai_hub.export.place import Places, tenant_folder

T = datetime(2025, 10, 9, tzinfo=UTC)
ROW = {"timestamp": T, "asset_id": "a", "value": 1.0}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ai-hub.toml").write_text("cache_ttl = 60\n")
    (tmp_path / "other.toml").write_text("")
    monkeypatch.setenv("AI_HUB_CONFIG", "other.toml")
    return Settings(database_url="duckdb:///features.duckdb", export_root=tmp_path / "exports")


async def export(settings: Settings, path: Path | str, **how: object) -> dict[str, object]:
    async with FeatureStore(settings) as store:
        await store.ingest([ROW], "t")
        return await store.export_features_to_parquet(
            "t", "forecast_basic", T, T, output_path=path, **how
        )


def put(path: Path, content: bytes = b"mine") -> Path:
    path.write_bytes(content)
    return path


def parquet(path: Path) -> Path:
    pq.write_table(pa.table({"x": [1]}), path)
    return path


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "features.duckdb",
        "./features.duckdb",
        "exports/../features.duckdb",
        "link/features.duckdb",
        "features.duckdb.wal",
        "features.duckdb.tmp",
        "features.duckdb.tmp/x.parquet",
        "features.duckdb.wal.checkpoint",
        "FEATURES.duckdb.WAL",
        "again.duckdb",
        "ai-hub.toml",
        "other.toml",
    ],
)
async def test_the_database_its_side_files_and_the_settings_are_never_replaced(
    settings: Settings, tmp_path: Path, name: str, force: bool
) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    await export(settings, "first.parquet")
    os.link("features.duckdb", "again.duckdb")
    before = {one: one.read_bytes() for one in tmp_path.iterdir() if one.is_file()}
    with pytest.raises(InvalidInput, match="output_path"):
        await export(settings, name, force=force)
    async with FeatureStore(settings) as store:
        assert (await store.get_features("t", "a", T))["hour_of_day"] == 0
    assert {one: one.exists() for one in before} == dict.fromkeys(before, True)
    for one in ("ai-hub.toml", "other.toml", "first.parquet"):
        assert (tmp_path / one).read_bytes() == before[tmp_path / one]
    assert not list(tmp_path.glob("**/.*"))


@pytest.mark.parametrize(
    "make",
    [
        lambda path: put(path),
        lambda path: put(path, b""),
        lambda path: put(path, b"PAR1" + bytes(20) + b"PAR1"),
        parquet,
    ],
    ids=["text", "empty", "no Parquet", "Parquet of others"],
)
async def test_only_with_force_a_file_that_no_export_wrote_is_replaced(
    settings: Settings, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path / "f.parquet")
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=r"output_path.*force"):
        await export(settings, path)
    assert path.read_bytes() == before
    assert (await export(settings, path, force=True))["status"] == "completed"
    # Now it is ours.
    assert (await export(settings, path))["status"] == "completed"
    assert pq.read_metadata(path).num_rows == 1


@pytest.mark.parametrize("force", [False, True])
async def test_links_pipes_and_devices_are_never_replaced(
    settings: Settings, tmp_path: Path, force: bool
) -> None:
    target = tmp_path / "target.parquet"
    await export(settings, target)
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    kinds = {name: (tmp_path / name).lstat() for name in ("link", "dangling", "pipe")}
    for name in (*kinds, "/dev/null", "/dev/stdout", "/dev/full"):
        with pytest.raises(InvalidInput, match="output_path"):
            await export(settings, name, force=force)
    assert {name: (tmp_path / name).lstat() for name in kinds} == kinds
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("way", ["exports/inside/x", "root/inside/x", "exports/deep/../inside/x"])
async def test_no_link_below_the_export_root_is_followed(
    settings: Settings, tmp_path: Path, way: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "exports" / "deep").mkdir(parents=True)
    (tmp_path / "exports" / "inside").symlink_to(elsewhere)
    (tmp_path / "root").symlink_to(tmp_path / "exports")
    if ".." in way:
        # Where it leads is known before it is opened, and that is not below the root.
        assert (await export(settings, way))["storage_path"] == str(elsewhere / "x")
        return
    with pytest.raises(InvalidInput, match="inside is a symbolic link"):
        await export(settings, way)
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "exports", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with Places(root).of_tenant("t", PurePosixPath("a/f")).draft("1") as draft:
        (root / "t" / "a").rename(tmp_path / "moved")
        (root / "t" / "a").symlink_to(elsewhere)
        draft.write(b"x")
        draft.publish()
    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "moved" / "f").read_bytes() == b"x"


def test_what_appears_meanwhile_is_looked_at_again(tmp_path: Path) -> None:
    place = Places(tmp_path / "exports").place(tmp_path / "f")
    with place.draft("1") as draft:
        draft.write(b"x")
        put(tmp_path / "f", b"somebody's")
        with pytest.raises(InvalidInput, match="not written by an export"):
            draft.publish()
    assert (tmp_path / "f").read_bytes() == b"somebody's"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


async def test_a_training_set_in_memory_replaces_no_more(
    settings: Settings, tmp_path: Path
) -> None:
    mine = put(tmp_path / "mine")
    async with FeatureStore(settings) as store:
        await store.ingest([ROW], "t")
        found = await store.get_training_set([ROW], "forecast_basic", tenant_id="t")
        for force in (False, True):
            for name in ("features.duckdb", "features.duckdb.wal", "ai-hub.toml", "/dev/null"):
                with pytest.raises(InvalidInput, match="output_path"):
                    found.to_parquet(name, force=force)
        with pytest.raises(InvalidInput, match=r"output_path.*force"):
            found.to_parquet(mine)
        found.to_parquet(mine, force=True)
        found.to_parquet(mine)
    assert pq.read_metadata(mine).num_rows == 1


@pytest.mark.parametrize("path", ["/", "", ".", "a\0b", "\ud800.parquet"])
async def test_what_is_the_path_of_no_file_is_refused(settings: Settings, path: str) -> None:
    with pytest.raises(InvalidInput, match="output_path"):
        await export(settings, path)


async def test_who_closes_a_store_leaves_its_exports_to_others(
    settings: Settings, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    began = asyncio.Event()

    def slow(rows: int) -> None:
        loop.call_soon_threadsafe(began.set)
        time.sleep(0.2)

    async with FeatureStore(settings) as store:
        await store.ingest([ROW | {"asset_id": f"{i}"} for i in range(50)], "t")
        ask = partial(
            store.export_features_to_parquet, "t", "forecast_basic", T, T + timedelta(days=900),
            frequency="1m", progress=slow,
        )  # fmt: skip
        exports = [asyncio.create_task(ask()) for _ in range(4)]
        await began.wait()
    ends = await asyncio.gather(*exports, return_exceptions=True)
    assert {type(end) for end in ends} <= {ExportFailed, StoreUnavailable}
    async with FeatureStore(settings) as store:
        assert {one["status"] for one in await store.exports()} == {"pending"}
    assert not list(tmp_path.glob("**/.*"))


@pytest.mark.parametrize("process", [0o000, 0o022, 0o077])
@pytest.mark.parametrize(("umask", "mode"), [("077", 0o700), ("027", 0o750), ("0", 0o777)])
async def test_rights_are_those_of_the_setting(
    settings: Settings, tmp_path: Path, umask: str, mode: int, process: int
) -> None:
    chosen = Settings(
        database_url=settings.database_url, export_root=tmp_path / "new" / "exports", umask=umask
    )
    before = os.umask(process)
    try:
        inside = await export(chosen, "f.parquet", in_tenant_folder=True)
        outside = await export(chosen, tmp_path / "out" / "deep" / "f.parquet")
    finally:
        os.umask(before)
    for record in (inside, outside):
        path = Path(str(record["storage_path"]))
        assert path.stat().st_mode & 0o777 == mode & 0o666
        for folder in path.relative_to(tmp_path).parents[:-1]:
            assert (tmp_path / folder).stat().st_mode & 0o777 == mode


async def test_a_file_that_is_replaced_keeps_its_rights(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "f.parquet"
    await export(settings, path)
    path.chmod(0o644)
    await export(settings, path)
    assert path.stat().st_mode & 0o7777 == 0o644


def test_a_file_is_summed_while_it_is_written(tmp_path: Path) -> None:
    place = Places(tmp_path).place(tmp_path / "f")
    content = os.urandom(300_000)
    with place.draft("1") as draft:
        for first in range(0, len(content), 70_000):
            draft.write(content[first : first + 70_000])
        assert place.checksum() is None
        draft.publish()
    found = hashlib.sha256(content).hexdigest()
    assert (draft.size, draft.checksum, place.checksum()) == (len(content), found, found)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    place = Places(tmp_path).place(tmp_path / "f")

    def fill() -> None:
        with place.draft("1") as draft:
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, draft.handle)
            os.close(full)
            draft.write(b"x")

    with pytest.raises(ExportFailed, match="output_path"):
        fill()
    assert list(tmp_path.iterdir()) == []


ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=256)


@given(one=ids, other=ids)
def test_the_folder_of_a_tenant_is_a_plain_name_of_its_own(one: str, other: str) -> None:
    name = tenant_folder(one)
    assert len(name) <= 180
    assert name.isascii()
    assert not set(name) & {"/", ".", "\0"}
    if len(one) < 50 and "%%" not in name:
        plain = bytes.fromhex("".join(
            part if i % 2 else part.encode().hex()
            for i, part in enumerate(_parts(name))
        ))  # fmt: skip
        assert plain.decode() == one
    assert (tenant_folder(other) == name) == (other == one)


def _parts(name: str) -> list[str]:
    """Plain text and %XX codes by turns."""
    parts: list[str] = []
    for i, piece in enumerate(name.split("%")):
        parts += [piece[:2], piece[2:]] if i else [piece]
    return parts


@pytest.mark.parametrize(
    ("tenant", "folder"),
    [
        ("tenant-123", "tenant-123"),
        ("a_B9", "a_B9"),
        ("..", "%2E%2E"),
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("é", "%C3%A9"),
        (" ", "%20"),
        ("x" * 180, "x" * 180),
        ("x" * 181, "x" * 100 + "%%" + hashlib.sha256(b"x" * 181).hexdigest()),
    ],
)
def test_the_form_of_a_tenants_folder(tenant: str, folder: str) -> None:
    assert tenant_folder(tenant) == folder
