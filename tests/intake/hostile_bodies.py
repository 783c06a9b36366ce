"""Bodies of which a few bytes say a great deal; as a program, what reading each of them takes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from ai_hub.allocation import keep_little
from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import BatchKind
from ai_hub.intake.bodies import read_batch
from ai_hub.intake.formats import open_body
from ai_hub.intake.read_options import ReadOptions
from intake import parquet_lies
from intake.hostile_spreadsheets import SPREADSHEETS, XLSX
from intake.spreadsheets import spreadsheet

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
TIME = "2025-10-09T14:00:00Z"
HEADER = b"timestamp,asset_id,value\n"


def stream(columns: dict[str, Any], compression: str | None = None) -> bytes:
    table = pa.table(columns)
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def repeated(rows: int, text: str, index: Any = np.int8) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, index), pa.array([text]))


def run_ends() -> bytes:
    def column(value: object) -> pa.Array:
        ends = pa.array([10_000_000], pa.int32())
        return pa.RunEndEncodedArray.from_arrays(ends, pa.array([value]))

    return stream({"timestamp": column(TIME), "asset_id": column("x" * 250), "value": column(1.0)})


def dictionary(length: int = 10_000, rows: int = 300_000) -> bytes:
    ones = pa.array(np.ones(rows, np.int8))
    ids, times = repeated(rows, "x" * length), repeated(rows, TIME)
    return stream({"timestamp": times, "asset_id": ids, "value": ones}, "zstd")


def views() -> bytes:
    # Written as they stand, each view with its own copy; so they are compressed as well.
    ids = pa.array(["x" * 5_000] * 50_000, pa.string_view())
    times = pa.array([TIME] * 50_000)
    return stream({"timestamp": times, "asset_id": ids, "value": np.ones(50_000)}, "zstd")


def plain_zstd() -> bytes:
    rows = 5_000_000
    times = pa.array(np.zeros(rows, np.int64), pa.timestamp("us", "UTC"))
    ids = pa.array(np.zeros(rows, np.int64))
    return stream({"timestamp": times, "asset_id": ids, "value": np.ones(rows)}, "zstd")


def nothing_many_times() -> bytes:
    rows = 2**31 - 1
    empty = pa.Array.from_buffers(pa.null(), rows, [None])
    return stream({"timestamp": empty, "asset_id": empty, "value": empty})


def file_of_one_batch() -> bytes:
    """A file of whose bytes a thousand batches are one."""
    rows = 500_000
    batch = pa.record_batch({
        "timestamp": pa.array(np.arange(rows), pa.timestamp("us", "UTC")),
        "asset_id": repeated(rows, "a"), "value": np.ones(rows),
    })  # fmt: skip
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(sink, batch.schema, options=options) as writer:
        for _ in range(20):
            writer.write_batch(batch)
    return sink.getvalue()


def parquet(length: int, rows: int, **options: Any) -> bytes:
    table = pa.table({
        "timestamp": pa.array(np.arange(rows), pa.timestamp("us", "UTC")),
        "asset_id": pa.array(["x" * length]).take(pa.array(np.zeros(rows, np.int8))),
        "value": np.ones(rows),
    })  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def parquet_dictionary() -> bytes:
    """Rows of one long id, 4 KB: written in pieces, as no column of it would hold them."""
    schema = pa.schema(
        [("timestamp", pa.string()), ("asset_id", pa.string()), ("value", pa.int8())]
    )
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        rows = 10_000
        ids = pa.array(["x" * 10_000] * rows)
        part = pa.table([pa.array([TIME] * rows), ids, pa.array(np.ones(rows, np.int8))],
                        schema=schema)  # fmt: skip
        for _ in range(30):
            writer.write_table(part)
    return sink.getvalue()


def csv_rows(rows: int) -> bytes:
    return HEADER + b"".join(b"%s,a,%d\n" % (TIME.encode(), at) for at in range(rows))


def small_batches(rows: int) -> bytes:
    """A batch for each row."""
    table = pa.table({"timestamp": pa.array(np.arange(rows), pa.timestamp("us", "UTC")),
                      "asset_id": repeated(rows, "a"), "value": np.ones(rows)})  # fmt: skip
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, 1)
    return sink.getvalue()


def lying_frames(size: int) -> bytes:
    """Compressed buffers that say another size than they unpack to."""
    body = stream({"timestamp": pa.array(np.arange(1_000), pa.timestamp("us", "UTC")),
                   "asset_id": ["a"] * 1_000, "value": np.ones(1_000)}, "lz4")  # fmt: skip
    parts = body.split(b"\x04\x22\x4d\x18")
    said = [part[:-8] + size.to_bytes(8, "little", signed=True) for part in parts[:-1]]
    return b"\x04\x22\x4d\x18".join([*said, parts[-1]])


def parquet_footer() -> bytes:
    """A few rows, and very much that is said of them."""
    table = pa.table({"timestamp": pa.array([1], pa.timestamp("us", "UTC")), "asset_id": ["a"],
                      "value": [1.0]})  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({f"k{n}": "x" for n in range(300_000)}), sink)
    return sink.getvalue()


def parquet_texts(encoding: str, rows: int = 40_000, length: int = 2_000) -> bytes:
    """Long ids that begin alike, in an encoding of their own."""
    ids = [f"{'x' * length}{n:06}" for n in range(rows)]
    table = pa.table({"timestamp": pa.array(np.arange(rows), pa.timestamp("us", "UTC")),
                      "asset_id": ids, "value": np.ones(rows)})  # fmt: skip
    plain = {"timestamp": "PLAIN", "value": "PLAIN"}
    sink = io.BytesIO()
    pq.write_table(table, sink, use_dictionary=False, compression="zstd",
                   column_encoding={**plain, "asset_id": encoding})  # fmt: skip
    return sink.getvalue()


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "arrow run ends": (ARROW, run_ends),
    "arrow dictionary": (ARROW, dictionary),
    "arrow dictionary of ids": (ARROW, lambda: dictionary(250, 5_000_000)),
    "arrow views": (ARROW, views),
    "arrow zstd": (ARROW, plain_zstd),
    "arrow nulls": (ARROW, nothing_many_times),
    "arrow small batches": (ARROW, lambda: small_batches(60_000)),
    "arrow a terabyte in a frame": (ARROW, lambda: lying_frames(1 << 40)),
    "arrow less than nothing in a frame": (ARROW, lambda: lying_frames(-2)),
    "arrow file": ("application/vnd.apache.arrow.file", file_of_one_batch),
    "parquet dictionary": (PARQUET, parquet_dictionary),
    "parquet rows": (PARQUET, lambda: parquet(5, 10_000_000, compression="zstd")),
    "parquet no dictionary": (
        PARQUET, lambda: parquet(5_000, 50_000, compression="zstd", use_dictionary=False)
    ),
    "parquet small in its footer": (PARQUET, parquet_lies.small_in_the_footer),
    "parquet small in a page": (PARQUET, parquet_lies.small_in_the_page),
    "parquet many in a dictionary": (PARQUET, parquet_lies.many_in_the_dictionary),
    "parquet footer": (PARQUET, parquet_footer),
    "parquet long lengths": (PARQUET, lambda: parquet_texts("DELTA_LENGTH_BYTE_ARRAY")),
    "parquet long beginnings": (PARQUET, lambda: parquet_texts("DELTA_BYTE_ARRAY")),
    "json values": ("application/json", lambda: b"[" + b"0," * 10_000_000 + b"0]"),
    "json objects": ("application/json", lambda: b"[" + b"{}," * 5_000_000 + b"{}]"),
    "json texts": ("application/json", lambda: b"[" + b'"ab",' * 4_000_000 + b'"ab"]'),
    "json lists": ("application/json", lambda: b"[" + b"[]," * 5_000_000 + b"[]]"),
    "json field": ("application/json", lambda: b'[{"timestamp":[' + b"1.5," * 4_000_000 + b"1]}]"),
    "ndjson values": (
        "application/x-ndjson",
        lambda: b'{"timestamp":1,"asset_id":2,"value":3}\n' + b"0\n" * 5_000_000,
    ),
    "csv short lines": ("text/csv", lambda: HEADER + b"1\n" * 5_000_000),
    "csv line breaks": ("text/csv", lambda: HEADER + b"\r" * 20_000_000),
    "csv separators": ("text/csv", lambda: HEADER + b"0," * 10_000_000),
    "csv quotes": ("text/csv", lambda: HEADER + b'",,\n' * 1_000_000),
    "csv gzip": ("text/csv", lambda: gzip.compress(csv_rows(10) + b"1\n" * 20_000_000)),
    "csv bz2": ("text/csv", lambda: bz2.compress(csv_rows(1_000_000) * 4)),
    "csv wide": (
        "text/csv",
        lambda: HEADER[:-1] + b"".join(b",%x" % at for at in range(20_000)) + b"\n"
        + b"%s,a,1%s\n" % (TIME.encode(), b"," * 20_000),
    ),
    **{name: (XLSX, make) for name, make in SPREADSHEETS.items()},
}  # fmt: skip
"""A content type, and what makes the body."""

HONEST: dict[str, tuple[str, Callable[[], bytes]]] = {
    "csv": ("text/csv", lambda: csv_rows(500_000)),
    "parquet": (PARQUET, lambda: parquet(5, 300_000)),
    "arrow": (ARROW, lambda: stream({
        "timestamp": pa.array(np.arange(500_000), pa.timestamp("us", "UTC")),
        "asset_id": pa.array(["meter-001"] * 500_000), "value": np.ones(500_000)})),
    "json": ("application/json", lambda: json.dumps(
        [{"timestamp": TIME, "asset_id": f"m{at}", "value": at / 4} for at in range(200_000)]
    ).encode()),
    "ndjson": ("application/x-ndjson", lambda: b"".join(
        b'{"timestamp":"%s","asset_id":"m%d","value":1.5}\n' % (TIME.encode(), at)
        for at in range(200_000))),
    "parquet of lengths": (PARQUET, lambda: parquet_texts("DELTA_LENGTH_BYTE_ARRAY", 300_000, 5)),
    "arrow of many batches": (ARROW, lambda: small_batches(10_000)),
    "xlsx": (XLSX, lambda: spreadsheet({"S": [
        ["timestamp", "asset_id", "value"],
        *([f"2025-10-09T14:{n % 60:02}:00Z", f"m{n}", n / 4] for n in range(30_000))]})),
    "csv out of order": ("text/csv", lambda: csv_out_of_order(400_000)),
    "weather csv": ("text/csv", lambda: weather_csv(300_000)),
    "attributes csv": ("text/csv", lambda: attributes_csv(300_000)),
}  # fmt: skip
"""Bodies that have to be taken."""
_KINDS: dict[str, BatchKind] = {"weather csv": "weather", "attributes csv": "attributes"}


def csv_out_of_order(rows: int) -> bytes:
    lines = (b"2025-10-%02dT%02d:%02d:00Z,m%d,%d\n" % (1 + at % 28, at % 24, at % 60, at % 977, at)
             for at in range(rows))  # fmt: skip
    return HEADER + b"".join(lines)


def weather_csv(rows: int) -> bytes:
    """One column of weather, out of order."""
    lines = (b"2025-10-%02dT%02d:%02d:00Z,s%d,%d\n" % (1 + at % 28, at % 24, at % 60, at, at % 30)
             for at in range(rows))  # fmt: skip
    return b"timestamp,asset_id,temperature\n" + b"".join(lines)


def attributes_csv(rows: int) -> bytes:
    """Of as many assets, from now on."""
    lines = (b"meter-%d,%s,%d\n" % (at, (b"capacity", b"area")[at % 2], at) for at in range(rows))
    return b"asset_id,key,value\n" + b"".join(lines)


def read(content_type: str, body: bytes, kind: BatchKind = "observations") -> str:
    """What becomes of a body, in a word."""
    options = ReadOptions.of(kind)
    try:
        file = open_body(content_type, body, options, options.required("t"))
        batch = read_batch(file, "t", len(body))
    except InvalidInput:
        return "refused"
    return f"{batch.accepted} accepted, {batch.rejected} rejected"


def _memory(field: str) -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(field))


def measured(name: str) -> dict[str, Any]:
    """What reading a body takes, in a process of its own, which allocates as the server does."""
    content_type, make = (BOMBS | HONEST)[name]
    body = make()
    results, child = os.pipe()
    if os.fork() == 0:
        signal.alarm(300)  # one that hangs has died
        resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")  # the peak from here on
        before, begin = _memory("VmRSS"), time.process_time()
        said = read(content_type, body, _KINDS.get(name, "observations"))
        seconds = time.process_time() - begin
        found = {"said": said, "seconds": seconds, "peak": _memory("VmHWM") - before}
        os.write(child, json.dumps(found).encode())
        os._exit(0)
    os.close(child)
    _, status = os.wait()
    told = json.loads(os.read(results, 10_000) or b'{"said": "the process died"}')
    return {"body": len(body), "status": status, **told}


if __name__ == "__main__":
    if pa.default_memory_pool().backend_name != "system":
        # Arrow looks once, when it is first used.
        os.execve(
            sys.executable, sys.orig_argv, os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}
        )
    keep_little()
    read("text/csv", csv_rows(10))  # what is imported on the way is not the body's
    names = map(str.strip, sys.stdin) if sys.argv[1:] == ["-"] else [*BOMBS, *HONEST]
    for one in names:
        print(json.dumps({"name": one, **measured(one)}), flush=True)
