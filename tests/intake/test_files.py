"""Sources, compressions, headers and wide tables: what of a file is read, and what is said."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import threading
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ai_hub.errors import InvalidInput
from ai_hub.intake.bodies import read_batch
from ai_hub.intake.checks import check_observations
from ai_hub.intake.csv_text import Lines
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.files import DataFile
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.readers.rows import Rows
from ai_hub.intake.source import STDIN, Source
from intake.reading import body_table, data_file, read_file

TEXT = "timestamp,asset_id,value\n" + "".join(
    f"2025-01-01T{hour:02}:00Z,m1,{hour}\n" for hour in range(24)
)


def opened(text: str, columns: dict[str, str] | None = None, **options: str) -> DataFile:
    return data_file(Source.of_bytes(text.encode()), columns, Dialect.of(options))


def rows(file: DataFile) -> list[dict[str, object]]:
    return [row for table, _ in file.tables() for row in table.to_pylist()]


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    return pa.compress(data, codec="zstd", asbytes=True)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip in two parts": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
    "bzip2": bz2.compress,
    "zstd": zstd,
    "zip": lambda _: zipped("load.csv", "__MACOSX/load.csv"),
    "gzip in gzip": lambda data: gzip.compress(gzip.compress(data)),
    "zip in zstd": lambda _: zstd(zipped("load.csv")),
}


@pytest.mark.parametrize("packed", PACKED)
def test_a_compression_is_known_by_its_bytes(packed: str, tmp_path: Path) -> None:
    path = tmp_path / "load.txt"
    path.write_bytes(PACKED[packed](TEXT.encode()))
    file = data_file(Source.of_path(path))
    assert len(rows(file)) == 24
    assert rows(file) == rows(file)
    assert [fraction for _, fraction in file.tables()][-1] == 1.0
    assert len(body_table("text/csv", path.read_bytes())) == 24


@pytest.mark.parametrize("packed", [name for name in PACKED if "zip in" not in name])
def test_a_compressed_file_that_is_cut_off_is_an_error(packed: str, tmp_path: Path) -> None:
    path = tmp_path / "load.csv.gz"
    data = PACKED[packed](TEXT.encode() * 50)
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InvalidInput, match=r"file: got .* a whole (gzip|bzip2|zstd|zip) file"):
        rows(data_file(Source.of_path(path)))


def test_a_zip_file_holds_one_file() -> None:
    for names in ([], ["a.csv", "b.csv"]):
        with pytest.raises(InvalidInput, match="a zip file with one file in it"):
            data_file(Source.of_bytes(zipped(*names)))
    with pytest.raises(InvalidInput, match=r"a\.csv, b\.csv"):
        data_file(Source.of_bytes(zipped("a.csv", "b.csv")))


def test_a_body_that_unpacks_to_more_than_a_body_may_have_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ai_hub.intake.source.MAX_UNPACKED_BODY", 10_000)
    body = gzip.compress(TEXT.encode() + b"\n" * 20_000)
    with pytest.raises(InvalidInput, match="at most 10000 bytes"):
        body_table("text/csv", body)


def test_standard_input_is_read_more_than_once() -> None:
    source = Source.of_path(STDIN, io.BytesIO(gzip.compress(TEXT.encode())))
    assert source.name == "standard input"
    file = data_file(source)
    assert [len(rows(file)) for _ in range(3)] == [24] * 3


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(TEXT,))
    writer.start()
    file = data_file(Source.of_path(path))
    writer.join()
    assert [len(rows(file)) for _ in range(2)] == [24, 24]


@pytest.mark.parametrize("name", ["x.parquet", "x.pq", "x.xlsx"])
def test_a_name_that_says_another_kind_is_an_error(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(TEXT)
    with pytest.raises(InvalidInput, match="as its name says"):
        data_file(Source.of_path(path))


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for text in ("", "\n\n"):
        path.write_text(text)
        with pytest.raises(InvalidInput, match=r"first line is a header\. It is empty"):
            data_file(Source.of_path(path))


# Headers


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("timestamp,KWH/hh (per half hour) ", {"value": "KWH/hh (per half hour) "}),
        ("DateTime, kWh ", {"timestamp": "datetime", "value": "kwh"}),
        ('timestamp,"Energy\n(kWh)"', {"value": "Energy\n(kWh)"}),
        ('timestamp,"Energy\n(kWh)"', {"value": "energy (kWh)"}),
        ("Timestamp,VALUE", {}),
        ("# timestamp,value", {}),
    ],
)
def test_names_are_found_as_they_stand_or_as_nearly_so(
    header: str, columns: dict[str, str]
) -> None:
    (row,) = rows(opened(f"{header}\n2025-01-01T00:00Z,1.5\n", columns))
    assert (row["timestamp"], row["value"]) == ("2025-01-01T00:00Z", "1.5")


def test_the_name_that_stands_there_is_meant_before_one_that_is_like_it() -> None:
    (row,) = rows(opened("Value,timestamp,value\n1,2025-01-01T00:00Z,2\n"))
    assert row["value"] == "2"
    with pytest.raises(InvalidInput, match='one column named "value"'):
        opened("Value,timestamp,VALUE\n1,2025-01-01T00:00Z,2\n")


@pytest.mark.parametrize("ragged", ["", "2025-01-01T01:00:00Z;m1;2;extra\n"])
def test_a_column_that_is_missing_is_told_with_the_names_that_came(ragged: str) -> None:
    text = f"Time;asset_id;value\n2025-01-01T00:00:00Z;m1;1\n{ragged}"
    with pytest.raises(InvalidInput) as error:
        opened(text)
    assert str(error.value) == (
        "timestamp: got ['Time', 'asset_id', 'value'], expected a column named \"timestamp\". "
        'The names are read as separated by semicolons. The nearest is "Time".'
    )


def test_a_column_that_is_required_is_missed_at_once() -> None:
    source = Source.of_bytes(b"time,MT_001,MT_002\n2025-01-01T00:00Z,1,2\n")
    with pytest.raises(
        InvalidInput, match=r"value: got \['time', 'MT_001', 'MT_002'\].*--wide assets"
    ):
        data_file(source, {"timestamp": "time"}, required=("timestamp", "value"))
    with pytest.raises(InvalidInput, match="options: got 'valeu_column', expected one of"):
        data_file(source, {"valeu": "time"})


def test_the_header_is_the_first_line_with_all_the_names() -> None:
    text = "latitude,longitude\n52.5,13.4\n\ntime,temp\n2025-01-01T00:00,1.5\n"
    file = opened(text, {"timestamp": "time", "temperature": "temp"})
    assert [row["temperature"] for row in rows(file)] == ["1.5"]
    assert [str(finding) for finding in file.findings()] == ["--skip-lines 3"]
    assert file.lines == Lines(total=5, before=4, rows=1)
    said = opened(text, {"timestamp": "time", "temperature": "temp"}, skip_lines="2")
    assert rows(said) == rows(file)
    with pytest.raises(InvalidInput, match=r"got \['latitude', 'longitude'\]"):
        opened(text, {"timestamp": "time"}, skip_lines="0")


def test_a_first_row_at_fault_is_no_row_of_units() -> None:
    for first in ("x,y,z", "?,m1,error", ",,"):
        text = f"timestamp,asset_id,value\n{first}\n2025-01-01T00:00Z,m1,1\n"
        assert len(rows(opened(text))) == 2


def test_units_are_no_row() -> None:
    text = "timestamp;value\n[dd.MM.yyyy HH:mm];[kWh]\n2025-01-01T00:00Z;0,5\n"
    file = opened(text)
    assert [row["value"] for row in rows(file)] == ["0.5"]
    assert file.lines == Lines(total=3, before=2, rows=1)
    assert len(rows(opened(text, units_row="false"))) == 2
    plain = "timestamp;value\n2025-01-01T00:00Z;7\n"
    assert rows(opened(plain, units_row="true")) == []
    for first in ("2025-01-01T00:00Z;n/a", "Total;12", ";", "x;NA"):
        assert len(rows(opened(f"timestamp;value\n{first}\n"))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "timestamp;value\n2025-01-01T00:00Z;0,5;\n2025-01-01T01:00Z;0,6;\n",
        "timestamp;value;\n2025-01-01T00:00Z;0,5\n2025-01-01T01:00Z;0,6\n",
        "timestamp;value;\n2025-01-01T00:00Z;0,5;\n2025-01-01T01:00Z;0,6;\n",
    ],
)
def test_a_mere_delimiter_at_the_end_is_no_cell(text: str) -> None:
    assert [row["value"] for row in rows(opened(text))] == ["0.5", "0.6"]


def test_comments_are_no_rows() -> None:
    text = "#v 2\ntimestamp,value\n# east\n2025-01-01T00:00Z,1.5\n#\n"
    file = opened(text, comment="#")
    assert [row["value"] for row in rows(file)] == ["1.5"]
    assert file.lines == Lines(total=5, before=2, rows=1, comments=2)


def test_a_text_without_rows_has_an_empty_table() -> None:
    file = opened("timestamp,value")
    assert next(table for table, _ in file.tables()).column_names == ["timestamp", "value"]
    assert rows(file) == []


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_lines_may_end_as_they_did_long_ago(end: str) -> None:
    assert len(rows(opened(TEXT.replace("\n", end)))) == 24


def test_an_option_that_means_nothing_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"timestamp": ["x"]}), tmp_path / "x.parquet")
    with pytest.raises(InvalidInput, match="delimiter: got ';', expected no such option"):
        data_file(Source.of_path(tmp_path / "x.parquet"), dialect=Dialect(delimiter=";"))
    with pytest.raises(InvalidInput, match="sheet: got 'A', expected no such option for a text"):
        opened(TEXT, sheet="A")


# Dates and times in two columns


def test_a_date_and_a_time_of_day_are_one_time() -> None:
    text = (
        "Date,Start Time,timestamp2,value\n13.01.2025,0:30,x,1.5\n13.01.2025,24:00,x,2.5\n"
        "13.01.2025,,x,3.5\n,01:00,x,4.5\nbad\n"
    )
    found = rows(opened(text, {"timestamp": "Date"}, time_column="start time"))
    assert [row["timestamp"] for row in found[:2]] == [
        "2025-01-13 00:30:00.000000",
        "2025-01-14 00:00:00.000000",
    ]
    assert str(found[2]["timestamp"]).startswith("\x00a date, with the time of day")
    assert found[3]["timestamp"] is None
    assert str(found[4]["timestamp"]).startswith("\x01a line of 4 cells")
    with pytest.raises(InvalidInput, match=r'time_column: .*"Start"\. .*nearest is "Start Time"'):
        opened(text, {"timestamp": "Date"}, time_column="Start")


# Wide


def test_a_column_for_each_asset_is_a_row_for_each_cell() -> None:
    text = "time;MT_001;MT_002\n2025-01-01T00:00Z;1,5;\nbad\n2025-01-01T01:00Z;3;x\n"
    file = opened(text, {"timestamp": "time"}, wide="assets")
    found = [(row["timestamp"], row["asset_id"], row["value"]) for row in rows(file)]
    assert found[:2] == [
        ("2025-01-01T00:00Z", "MT_001", "1.5"),
        ("2025-01-01T00:00Z", "MT_002", None),
    ]
    assert str(found[2][0]).startswith("\x01")  # a line that is no row is one row
    assert found[3:] == [("2025-01-01T01:00Z", "MT_001", "3"), ("2025-01-01T01:00Z", "MT_002", "x")]
    assert file.lines == Lines(total=4, before=1, rows=3)


def test_a_column_for_each_series_goes_with_an_asset() -> None:
    text = "timestamp,asset_id,load,pv\n2025-01-01T00:00Z,m1,1,2\n"
    assert [(row["feature_type"], row["value"]) for row in rows(opened(text, wide="series"))] == [
        ("load", "1"),
        ("pv", "2"),
    ]


def test_a_column_for_each_time_of_day_goes_with_a_date() -> None:
    text = "MPAN;timestamp;0:30;12:00 PM;24:00;Total\nm1;13.01.2025;0,5;1;2;3,5\n"
    found = rows(opened(text, {"asset_id": "MPAN"}, wide="times"))
    assert [(row["timestamp"], row["asset_id"], row["value"]) for row in found] == [
        ("2025-01-13 00:30:00.000000", "m1", "0.5"),
        ("2025-01-13 12:00:00.000000", "m1", "1"),
        ("2025-01-14 00:00:00.000000", "m1", "2"),
    ]
    said = rows(opened(text, {"asset_id": "MPAN"}, wide="times", time_format="%d.%m.%Y"))
    assert said == found
    iso = rows(opened("timestamp,00:00,24:00\n2025-01-13,1.5,2\n", wide="times"))
    assert [row["timestamp"] for row in iso] == ["2025-01-13 00:00:00", "2025-01-14T00:00:00"]


@pytest.mark.parametrize(
    ("header", "options", "match"),
    [
        ("timestamp,value,m1", {"wide": "assets"}, "a file without a column of it"),
        ("timestamp,asset_id,m1", {"wide": "assets"}, "a file without a column of it"),
        ("timestamp", {"wide": "series"}, "columns beside that of the times"),
        ("timestamp,1,2,3", {"wide": "times"}, "names are times of day, such as 00:30"),
        ("timestamp,00:30,23:30,00:00", {"wide": "times"}, "call it 24:00"),
        ("timestamp,01:00,02:00A,02:00B", {"wide": "times"}, "'02:00A', expected a name such as"),
        ("timestamp,00:30,t", {"wide": "times", "time_column": "t"}, "none in a file with --wide"),
    ],
)
def test_a_wide_file_that_could_mean_something_else_is_refused(
    header: str, options: dict[str, str], match: str
) -> None:
    with pytest.raises(InvalidInput, match=match):
        opened(f"{header}\n", **options)


def test_columns_that_are_not_ours_cost_nothing_however_many_they_are() -> None:
    names = ",".join(f"c{number}" for number in range(5_000))
    file = opened(f"timestamp,asset_id,value,{names}\n2025-01-01T00:00Z,m1,1{',0' * 5_000}\n")
    ((table, _),) = file.parts()
    assert table.num_columns < 50


def test_a_wide_table_may_be_typed() -> None:
    sink = pa.BufferOutputStream()
    times = pa.array([0, 1], pa.timestamp("s", "UTC"))
    pq.write_table(pa.table({"timestamp": times, "a": [1, 2], "b": [0.5, None]}), sink)
    file = data_file(Source.of_bytes(sink.getvalue().to_pybytes()), dialect=Dialect(wide="assets"))
    ((table, _),) = file.tables()
    batch = check_observations(table, "t")
    assert [(r.row, r.field) for r in batch.reasons] == [(3, "value")]
    assert batch.table.column("value").to_pylist() == [1.0, 2.0, 0.5]


# Typed sources


def test_integers_and_texts_of_parquet_are_read_as_said() -> None:
    table = pa.table({"timestamp": [1654992000, 1654992900], "value": ["0,5", "1,5"]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    source = Source.of_bytes(sink.getvalue().to_pybytes())
    found = rows(data_file(source, dialect=Dialect(time_format="epoch-s")))
    assert [row["timestamp"] for row in found] == [
        "2022-06-12 00:00:00.000000Z",
        "2022-06-12 00:15:00.000000Z",
    ]
    assert [row["value"] for row in found] == ["0.5", "1.5"]


def test_numbers_of_parquet_may_be_seconds() -> None:
    table = pa.table({"timestamp": [1654992000.5, None, float("nan")], "value": [1.0, 2.0, 3.0]})
    file = data_file(table, dialect=Dialect(time_format="epoch-s"))
    assert [row["timestamp"] for row in rows(file)] == ["2022-06-12 00:00:00.500000Z", None, "nan"]


def test_json_rows_are_read_as_said() -> None:
    body = b'[{"timestamp": "13.01.2025 00:30Z", "value": "0,5"}]'
    table = body_table("application/json", body)
    assert table.to_pylist() == [{"timestamp": "13.01.2025 00:30Z", "value": "0,5"}]
    said = Dialect(time_format="%d.%m.%Y %H:%M%z", decimal=",")
    assert body_table("application/json", body, said).to_pylist() == [
        {"timestamp": datetime(2025, 1, 13, 0, 30, tzinfo=UTC), "value": "0.5"}
    ]
    with pytest.raises(InvalidInput, match="delimiter"):
        body_table("application/json", body, Dialect(delimiter=";"))


def test_the_charset_of_a_body_is_its_encoding() -> None:
    body = "timestamp,asset_id,value\n2025-01-01T00:00Z,Büro,1\n".encode("latin-1")
    table = body_table("text/csv; charset=ISO-8859-1", body)
    assert table.column("asset_id").to_pylist() == ["Büro"]
    with pytest.raises(InvalidInput, match="encoding: got 'no-such'"):
        body_table("text/csv; charset=no-such", body)


def test_the_columns_of_a_body_may_be_mapped() -> None:
    body = b"time;kWh\n2025-01-01T00:00Z;0,5\n"
    table = body_table("text/csv", body, columns={"timestamp": "time", "value": "kWh"})
    assert table.to_pylist() == [{"timestamp": "2025-01-01T00:00Z", "value": "0.5"}]


def test_a_file_is_read_in_tables_of_so_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(TEXT)
    assert [len(table) for table, _ in read_file(path, rows=10)] == [10, 10, 4]
    with pytest.raises(InvalidInput, match="rows"):
        next(read_file(path, rows=0))


@pytest.mark.parametrize("filler", [0, 3_000])
def test_a_second_table_is_refused_where_it_begins(filler: int) -> None:
    text = "time,id,load\n" + "2025-01-13T11:00Z,m1,1.5\n" * (2 + filler)
    text += "\n{},id,{}\n2025-01-13,m1,5.5\n"
    columns = {"timestamp": "time", "asset_id": "id", "value": "load"}
    with pytest.raises(InvalidInput, match=rf"load_max.* one table .*Row {2 + filler} "):
        rows(opened(text.format("time", "load_max"), columns))
    again = rows(opened(text.format("time", "load"), columns))  # as in files put together
    assert [row["timestamp"] for row in again[-2:]] == ["time", "2025-01-13"]


def test_one_of_several_columns_of_a_name_is_named_by_its_number() -> None:
    text = "Zeit;kWh;kW;kWh\n2025-01-13T00:00Z;1;2;3\n"
    columns = {"timestamp": "Zeit", "value": "kWh"}
    with pytest.raises(InvalidInput, match=r'Columns 2 and 4 .* "kWh#2" '):
        opened(text, columns)
    for number, value in ((1, "1"), (2, "3")):
        (row,) = rows(opened(text, {**columns, "value": f"kWh#{number}"}))
        assert row["value"] == value
    with pytest.raises(InvalidInput, match='a column named "kWh#3"'):
        opened(text, {**columns, "value": "kWh#3"})
    (row,) = rows(opened(text.replace("kW;", "kWh#2;"), {**columns, "value": "kWh#2"}))
    assert row["value"] == "2"


def test_a_table_whose_names_are_instants_has_to_be_turned() -> None:
    text = "entity_id,type,2024-04-01T22:00:00.000Z,2024-04-01T23:00:00.000Z\nm1,grid,1,2\n"
    with pytest.raises(InvalidInput, match="--wide times takes times of the day alone"):
        opened(text, wide="times")


def test_a_column_may_go_on_with_another_type() -> None:
    """A cell that is not a number in the second hundred thousand dicts is a row at fault."""
    row = {"timestamp": "2025-01-01T00:00:00Z", "asset_id": "a", "value": 1.5}
    rows = [*[row] * 100_001, row | {"value": "x"}]
    options = ReadOptions.of("observations")
    file = DataFile(Rows(rows), options.of_programs(), options.required("t"))
    assert [len(part) for part, _ in file.parts(70_000)] == [70_000, 30_000, 2]
    batch = read_batch(file, "t", 10_000_000)
    assert (batch.accepted, batch.rejected) == (100_001, 1)
