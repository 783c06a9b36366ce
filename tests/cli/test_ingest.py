"""`ingest` and its siblings on the database file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.cli.failure import NOTHING
from cli.conftest import Run, answer, refused


def features(run: Run, *options: object) -> dict[str, object]:
    found: dict[str, object] = answer(
        run("get", "--tenant", "acme", "--at", "2025-10-09T14:30:00Z", "--json", *options)
    )["features"]
    return found


def test_a_csv_file_lands(run: Run) -> None:
    counts = answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    assert counts.pop("accepted") == 4
    assert not any(counts.values())
    found = features(run, "--asset", "meter-001", "--feature", "lag_1h", "--feature", "max_24h")
    assert found == {"lag_1h": 11.5, "max_24h": 12.5}


def test_a_new_database_is_told_of_beside_the_result(run: Run, workplace: Path) -> None:
    result = run("ingest", "load.csv", "--tenant", "acme", "--json")
    assert str(workplace / "features.duckdb") in result.stderr
    json.loads(result.stdout)


def test_sending_a_file_again_replaces_nothing(run: Run) -> None:
    run("ingest", "load.csv", "--tenant", "acme")
    again = answer(run("ingest", "load.csv", "--tenant", "acme", "--json"))
    assert (again["accepted"], again["replaced"]) == (4, 0)


def test_rejected_rows_are_named_and_the_others_land(run: Run, workplace: Path) -> None:
    text = "timestamp,asset_id,value\n2025-10-09T12:00:00Z,a,1\n2025-10-09T12:00:00,[red]b,nan\n"
    (workplace / "bad.csv").write_text(text + "2025-10-09T13:00:00Z,a,inf\n")
    result = run("ingest", "bad.csv", "--tenant", "acme")
    assert result.exit_code == 2  # more than half
    assert run("ingest", "bad.csv", "--tenant", "acme", "--allow-rejects").exit_code == 0
    assert "1 row accepted" in result.stdout
    assert "2 rejected" in result.stdout
    assert "finite number" in result.stderr
    assert "offset" in result.stderr


def test_a_file_without_a_good_row_is_bad_input(run: Run, workplace: Path) -> None:
    (workplace / "bad.csv").write_text("timestamp,asset_id,value\n2025-10-09T12:00:00Z,a,nan\n")
    result = run("ingest", "bad.csv", "--tenant", "acme", "--json")
    assert result.exit_code == 2
    (reason,) = json.loads(result.stdout)["reasons"]
    assert (reason["row"], reason["field"], reason["value"]) == (0, "value", "nan")


def test_rejections_count_rows_over_the_whole_file(run: Run, workplace: Path) -> None:
    size = 250_001
    values = [1.0] * (size - 1) + [float("nan")]
    times = pa.array(range(size), pa.timestamp("us", "UTC"))
    table = pa.table({"timestamp": times, "asset_id": ["a"] * size, "value": values})
    pq.write_table(table, workplace / "long.parquet")
    counts = answer(run("ingest", "long.parquet", "--tenant", "acme", "--json"))
    assert counts["accepted"] == size - 1
    assert [reason["row"] for reason in counts["reasons"]] == [size - 1]


def test_names_times_and_constants_come_from_options(run: Run, workplace: Path) -> None:
    (workplace / "uk.csv").write_text("when,kw\n2025-07-01 13:00,5\n2025-07-01 14:00,6\n")
    landed = run(
        "ingest", "uk.csv", "--tenant", "acme", "--timestamp-column", "when", "--value-column",
        "kw", "--asset-id", "meter-9", "--timezone", "Europe/London", "--json",
    )  # fmt: skip
    assert answer(landed)["accepted"] == 2
    found = answer(
        run("get", "--tenant", "acme", "--asset", "meter-9", "--feature", "lag_1h", "--at",
            "2025-07-01T13:00:00Z", "--json")
    )  # fmt: skip
    assert found["features"] == {"lag_1h": 5.0}
    assert found["timestamp"] == "2025-07-01T13:00:00Z"


def test_a_column_may_name_the_tenant(run: Run, workplace: Path) -> None:
    text = "timestamp,asset_id,value,owner\n2025-10-09T14:00:00Z,m,1,acme\n"
    (workplace / "two.csv").write_text(text + "2025-10-09T14:00:00Z,m,2,other\n")
    landed = run("ingest", "two.csv", "--tenant-column", "owner", "--json")
    assert answer(landed)["accepted"] == 2
    assert features(run, "--asset", "m", "--feature", "max_24h") == {"max_24h": 1.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["none.csv", "--tenant", "t"], ["none.csv"]),
        (["load.txt", "--tenant", "t"], ["load.txt", "It is empty"]),
        (["load.csv"], ["tenant_id", "--tenant"]),
        (["load.csv", "--tenant", ""], ["--tenant", "1 to 256"]),
        (["load.csv", "--tenant", "x" * 300], ["--tenant", "1 to 256"]),
        (["load.csv", "--tenant", "t", "--value-column", "kw"], ["value", '"kw"']),
        (["load.csv", "--tenant", "t", "--timezone", "Mars/North"], ["timezone", "Mars/North"]),
        (["load.csv", "--tenant", "t", "--asset-id", "m"], ["--asset-id", "'m'"]),
        (["load.csv", "--tenant", "t", "--feature-type", "x" * 65], ["--feature-type", "64"]),
        (["fake.parquet", "--tenant", "t"], ["fake.parquet", "Parquet"]),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    options: list[str], words: list[str], run: Run, workplace: Path
) -> None:
    (workplace / "load.txt").write_text("")
    (workplace / "fake.parquet").write_bytes(b"PAR1 not at all PAR1")
    refused(run("ingest", *options), *words)


def test_a_missing_column_says_which_option_helps(run: Run, workplace: Path) -> None:
    (workplace / "other.csv").write_text("timestamp,meter,value\n2025-10-09T12:00:00Z,a,1\n")
    result = run("ingest", "other.csv", "--tenant", "acme")
    refused(result, "asset_id", "meter", "--asset-column")


def test_a_file_that_fails_half_way_says_what_is_stored(run: Run, workplace: Path) -> None:
    lines = ["timestamp,asset_id,value"]
    lines += [f"2025-10-09T12:00:00Z,meter-{number},1.5" for number in range(500_000)]
    path = workplace / "cut.csv.gz"
    # Stored, not packed: cutting the end off loses the last rows only.
    path.write_bytes(gzip.compress("\n".join(lines).encode(), 0)[:-1_000])
    result = run("ingest", "cut.csv.gz", "--tenant", "acme")
    refused(result, "cut.csv.gz", "gzip")
    assert " batch" in result.stderr
    assert "again is safe" in result.stderr
    found = features(run, "--asset", "meter-0", "--feature", "daily_count")
    assert found == {"daily_count": 1}


def test_weather_of_a_station_reaches_its_meters(run: Run, workplace: Path) -> None:
    (workplace / "jfk.csv").write_text("timestamp,temp,humid\n2025-10-09T14:00:00Z,12.5,81\n")
    landed = run(
        "ingest-weather", "jfk.csv", "--tenant", "acme", "--asset-id", "JFK",
        "--column", "temperature=temp", "--column", "humidity=humid", "--json",
    )  # fmt: skip
    assert answer(landed)["accepted"] == 1
    mapped = answer(
        run("weather-source", "--tenant", "acme", "--source", "JFK", "--asset", "m", "--json")
    )
    assert mapped == {"tenant_id": "acme", "source_id": "JFK", "assets": 1, "changed": 1}
    found = features(run, "--asset", "m", "--feature", "temperature", "--feature", "humidity")
    assert found == {"temperature": 12.5, "humidity": 81.0}


def test_a_station_may_be_that_of_a_while(run: Run, workplace: Path) -> None:
    (workplace / "jfk.csv").write_text("timestamp,temperature\n2025-10-09T14:00:00Z,12.5\n")
    run("ingest-weather", "jfk.csv", "--tenant", "acme", "--asset-id", "JFK")
    source = ("weather-source", "--tenant", "acme", "--asset", "m")
    begin, end = "2025-10-09T14:15:00.0000001Z", "2025-10-09T16:30:00+02:00"
    mapped = answer(run(*source, "--source", "JFK", "--valid-from", begin, "--json"))
    assert mapped["changed"] == 1
    result = run(*source, "--none", "--valid-from", end)
    assert "weather from rows of their own (1 changed)" in " ".join(result.stdout.split())

    def temperature(at: str) -> object:
        asked = ("get", "--tenant", "acme", "--asset", "m", "--feature", "temperature")
        found = run(*asked, "--at", at, "--missing", "keep", "--json")
        there = answer(found, found.exit_code)["features"]["temperature"]
        assert found.exit_code == (NOTHING if there is None else 0)
        return there

    times = ("2025-10-09T14:15:00Z", "2025-10-09T14:16:00Z", "2025-10-09T14:29:59Z",
             "2025-10-09T14:30:00Z")  # fmt: skip
    assert [temperature(at) for at in times] == [None, 12.5, 12.5, None]


@pytest.mark.parametrize("words", [(), ("--source", "JFK", "--none")])
def test_a_station_or_none(words: tuple[str, ...], run: Run) -> None:
    result = run("weather-source", "--tenant", "acme", "--asset", "m", *words)
    refused(result, "--source", "--none")


def test_when_a_station_begins_is_a_time(run: Run) -> None:
    source = ("weather-source", "--tenant", "acme", "--asset", "m", "--source", "JFK")
    refused(run(*source, "--valid-from", "yesterday"), "--valid-from", "'yesterday'", "offset")


@pytest.mark.parametrize("text", ["temp", "heat=temp", "temperature=", "="])
def test_a_weather_column_is_one_of_ours(text: str, run: Run) -> None:
    result = run("ingest-weather", "load.csv", "--tenant", "acme", "--column", text)
    refused(result, "--column", repr(text), "temperature")


def test_rejects_never_take_the_place_of_the_file_that_is_read(run: Run, workplace: Path) -> None:
    before = (workplace / "load.csv").read_bytes()
    result = run("ingest", "load.csv", "--tenant", "acme", "--rejects", workplace / "load.csv")
    refused(result, "--rejects", "another file than the one to read")
    assert (workplace / "load.csv").read_bytes() == before


def test_rejects_are_written_whatever_types_their_columns_have(run: Run, workplace: Path) -> None:
    odd = {"timestamp": ["2025-01-01T00:00Z"], "asset_id": [["a"]], "value": [{"x": 1.5}]}
    pq.write_table(pa.table(odd), workplace / "odd.parquet")
    result = run("ingest", "odd.parquet", "--tenant", "acme", "--rejects", "rejects.csv")
    assert result.exit_code == 2
    (_, line) = (workplace / "rejects.csv").read_text().splitlines()
    assert line.startswith("0,asset_id,['a'],expected a string,2025-01-01T00:00Z,['a'],")
