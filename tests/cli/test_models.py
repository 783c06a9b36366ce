"""`models` and `rollout`: on the database itself and through its server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ai_hub import FeatureStore
from ai_hub.cli.failure import NOTHING
from ai_hub.serving.rollouts import part_of
from ai_hub.stores.registry_table import RegistryChange, StoredRegistry
from cli.conftest import Run, answer, refused
from cli.test_definitions import place as place
from cli.test_definitions import write

MODEL = "load-model@3"
GET = ("get", "--tenant", "t", "--asset", "a", "--at", "2025-10-09T14:30:00Z")


@pytest.fixture
def sets(place: None, run: Run, workplace: Path) -> None:
    """Two versions of a set, `own`."""
    for version, by in ((1, "2h"), (2, "3h")):
        answer(run("apply", write(workplace, version=version, by=by), "--json"))


def test_a_model_is_bound_and_served(sets: None, run: Run, workplace: Path) -> None:
    told = run("models", "bind", MODEL, "own@2", "--policy", "zero").stdout
    assert told.startswith(f"{MODEL} is bound to own@2, fingerprint ")
    assert told.endswith("missing values: zero.\n")
    (one,) = answer(run("models", "--json"))["models"]
    assert (one["model"], one["feature_set"], one["policy"]) == (MODEL, "own@2", "zero")
    assert MODEL in run("models").stdout

    found = answer(run(*GET, "--model", MODEL, "--json"), NOTHING)
    assert (found["version"], found["policy"]) == (2, "zero")
    refused(run(*GET, "--model", MODEL, "--missing", "mean"), "missing", "zero, the policy")
    refused(run(*GET, "--model", MODEL, "--set", "own"), "either model or feature_set")
    refused(run("export", "--tenant", "t"), "--set", "--model MODEL@VERSION")
    spine = workplace / "spine.csv"
    spine.write_text("asset_id,timestamp\na,2025-10-09T00:00:00Z\n")
    export = ("export", "--tenant", "t", "--model", MODEL, "--spine", spine, "-o")
    answer(run(*export, workplace / "out.parquet", "--json"))
    assert "lag_2h" in pq.read_schema(workplace / "out.parquet").names

    refused(run("models", "bind", MODEL, "own@1"), f"ai-hub models unbind {MODEL}")
    refused(run("models", "bind", MODEL, "own@1", "--policy", "often"), "--policy", "often")
    refused(run("sets", "retire", "own@2"), f"Bound to it: {MODEL}.")
    write(workplace, version=3, by="5h")
    told = run("plan", workplace / "features.yaml").stdout
    assert f"    {MODEL} is bound to own@2.\n" in told
    assert run("models", "unbind", MODEL).stdout == f"{MODEL} is not bound to own@2 any more.\n"
    refused(run("models", "unbind", MODEL), "none is")


def test_a_version_is_rolled_out(sets: None, run: Run, workplace: Path) -> None:
    none = run("rollout")
    assert (none.exit_code, none.stderr) == (NOTHING, "No rollout is under way.\n")
    told = "own alone means own@2 for 12.5 per cent of the assets, and own@1 for the others.\n"
    assert run("rollout", "own", "--to", "2", "--percent", "12.5").stdout == told
    assert run("rollout").stdout == run("rollout", "own").stdout == told
    (one,) = answer(run("rollout", "--json"))["rollouts"]
    assert (one["to"], one["percent"]) == (2, 12.5)

    names = [f"asset-{i}" for i in range(50)]
    expected = {name: 1 + (part_of("own", "t", name) < 1_250) for name in names}
    batch = [part for name in names for part in ("--asset", name)]
    found = answer(run("get", "--tenant", "t", *batch, "--set", "own", "--json"), NOTHING)
    assert {name: one["version"] for name, one in found["results"].items()} == expected
    assert (found["feature_set"], found["version"], found["policy"]) == ("own", None, None)
    shown = run("get", "--tenant", "t", *batch, "--set", "own").stdout
    assert "own in two versions as of" in shown
    newer = next(name for name in names if expected[name] == 2)
    assert f"{newer} has own@2\n" in shown

    (workplace / "assets.txt").write_text("asset_id\n" + "\n".join(names) + "\n")
    split = ("rollout", "split", "own", "--tenant", "t", "--assets", workplace / "assets.txt")
    told = run(*split, "-o", workplace / "split.parquet").stdout
    assert f"50 assets, {sum(v == 2 for v in expected.values())} of version 2" in told
    table = pq.read_table(workplace / "split.parquet")
    assert dict(zip(*table.to_pydict().values(), strict=True)) == expected
    assert answer(run(*split, "--json"))["versions"] == expected
    everyone = answer(run("rollout", "split", "own", "--tenant", "t", "--json"), NOTHING)
    assert everyone["versions"] == {}

    refused(run("rollout", "own", "--to", "2"), "--percent", "go together")
    refused(run("rollout", "own", "--finish", "--abort"), "one of: --to with --percent")
    refused(run("rollout", "--finish"), "NAME")
    refused(run("sets", "default", "own@2"), "ai-hub rollout own --finish, or --abort")
    assert run("rollout", "--abort", "own").stdout == "own alone means own@1 for every asset.\n"
    refused(run("rollout", "own", "--abort"), "own", "a rollout under way")
    refused(run(*split), "own", "a rollout under way")
    run("rollout", "own", "--to", "2", "--percent", "100")
    assert run("rollout", "own", "--finish").stdout == "own alone means own@2 for every asset.\n"
    assert answer(run("sets", "show", "own", "--json"))["version"] == 2


def test_a_wrong_file_of_assets(sets: None, run: Run, workplace: Path) -> None:
    run("rollout", "own", "--to", "2", "--percent", "50")
    split = ("rollout", "split", "own", "--tenant", "t", "--assets", workplace / "assets.txt")
    refused(run(*split), "assets.txt", code=1)
    (workplace / "assets.txt").write_bytes(b"a\n\xff\n")
    refused(run(*split), "UTF-8")
    (workplace / "assets.txt").write_text("a\nb\x07\n")
    refused(run(*split), "assets.txt line 2")


def test_a_model_of_older_semantics_is_named_and_bound_again(run: Run, workplace: Path) -> None:
    file = write(workplace)
    answer(run("apply", file, "--json"))
    run("models", "bind", MODEL, "own@1")

    def older(stored: StoredRegistry) -> RegistryChange:
        old = {"fingerprint": "0" * 16}
        return RegistryChange(
            sets=tuple(replace(one, semantics=1, **old) for one in stored.sets),
            models=tuple(replace(one, **old) for one in stored.models),
        )

    async def as_an_older_release_left_it() -> None:
        url = f"duckdb:///{workplace / 'features.duckdb'}"
        async with FeatureStore.open(url) as store:
            await store._table.change(older)

    asyncio.run(as_an_older_release_left_it())
    told = run("plan", file).stdout
    assert "~ own@1  the same definition, which this release means otherwise" in told
    assert f"{MODEL} is bound to own@1, and is refused until it is bound again.\n" in told
    assert "to be bound again" in run("models").stdout
    refused(run(*GET, "--model", MODEL), "0000000000000000", f"ai-hub models bind {MODEL} own@1")
    run("apply", file)
    refused(run(*GET, "--model", MODEL), "0000000000000000")
    run("models", "bind", MODEL, "own@1")
    assert answer(run(*GET, "--model", MODEL, "--json"), NOTHING)["version"] == 1
