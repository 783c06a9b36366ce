"""What a schema cannot say of a request, told to the fuzzer: rules between two of its values.

Loaded by the fuzzer in its own process; see test_schema_fuzz.py.
"""

from __future__ import annotations

import io
import itertools
import json
import os
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import schemathesis
from hypothesis import strategies as st
from schemathesis import GenerationMode

from intake.spreadsheets import spreadsheet

_MOST = 1024 * 1024
_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_paths = itertools.count(1)
_OWN_KEY = os.environ.get("FUZZ_KEY_ID")
"""The access key that the requests come with: once it was revoked, all that follows is refused."""


def _table(value: float, temperature: float) -> pa.Table:
    return pa.table(
        {"asset_id": ["a"], "timestamp": ["2025-01-01T00:00:00Z"], "value": [value],
         "temperature": [temperature]}
    )  # fmt: skip


def _short(value: object) -> object:
    return f"{value:.1f}" if isinstance(value, float) else value


def _written(kind: str, table: pa.Table) -> bytes:
    out = io.BytesIO()
    match kind:
        case "text/csv" | "text/tab-separated-values":
            mark = "," if kind == "text/csv" else "\t"
            if mark == "\t":
                # One digit behind the mark: three could be thousands, which nobody could tell.
                table = pa.table({name: [_short(v) for v in table[name].to_pylist()]
                                  for name in table.column_names})  # fmt: skip
            pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(delimiter=mark))
        case "application/x-ndjson":
            out.write(json.dumps(table.to_pylist()[0]).encode())
        case _ if kind == _SHEET:
            rows = [table.column_names, *([*row.values()] for row in table.to_pylist())]
            out.write(spreadsheet({"rows": rows}))
        case "application/vnd.apache.parquet":
            pyarrow.parquet.write_table(table, out)
        case "application/vnd.apache.arrow.stream":
            with pa.ipc.new_stream(out, table.schema) as writer:
                writer.write_table(table)
        case _:
            with pa.ipc.new_file(out, table.schema) as writer:
                writer.write_table(table)
    return out.getvalue()


_FORMATS = (
    "text/csv",
    "text/tab-separated-values",
    _SHEET,
    "application/x-ndjson",
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
)
for _kind in _FORMATS:
    _measured = st.floats(-50, 50).map(lambda value: round(value, 3))
    _tables = st.builds(_table, _measured, _measured)
    schemathesis.openapi.media_type(
        _kind, _tables.map(lambda table, kind=_kind: _written(kind, table))
    )


@schemathesis.hook
def before_add_examples(context: Any, examples: list[Any]) -> None:
    """The example of a body needs no options of reading."""
    for case in examples:
        if "ingest" in case.path:
            case.query = {}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """The fuzzer does not saw off the branch it sits on."""
    is_revoke = case.path.endswith("/keys/revoke") and isinstance(case.body, dict)
    if _OWN_KEY is not None and is_revoke and case.body.get("id") == _OWN_KEY:
        case.body = {**case.body, "id": _OWN_KEY[::-1]}


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """A case that was meant to be taken, kept to the rules between its values."""
    if case.meta is None:
        return case
    modes = [case.meta.generation.mode, *(one.mode for one in case.meta.components.values())]
    if any(mode is not GenerationMode.POSITIVE for mode in modes):
        return case
    # It stays as valid as it is; judged anew it would not be, for bytes and for flags as texts.
    case.freeze_metadata()
    query = dict(case.query or {})
    if "ingest" in case.path:
        # Options say how the table of this very body is read: any others are refused.
        query = {name: query[name] for name in ("tenant_id", "dry_run") if name in query}
        # In JSON the body names the tenant, in a table the query.
        if case.media_type == "application/json":
            query.pop("tenant_id", None)
        else:
            query.setdefault("tenant_id", "fuzz")
    if "training-set" in case.path:
        # Of a set or of a model.
        if ("feature_set" in query) == ("model" in query):
            query = {**query, "feature_set": "forecast_basic"}
            query.pop("model", None)
        # A label must not have the name of a feature.
        table = _table(1.0, 0.0).drop_columns(["temperature", "value"])
        case.body = _written(case.media_type, table)
    case.query = query
    if isinstance(case.body, dict):
        case.body = _kept(dict(case.body))
        if "drift" in case.path:
            # Whether there is one tenant alone, its data say.
            case.body["tenant_id"] = case.body.get("tenant_id") or "acme"
        if "drift" in case.path and {"start_time", "end_time"} & {*case.body}:
            # It takes a time of seven days at most.
            case.body |= {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
        if case.path.endswith("/archive"):
            # Whole days that have been, below a place that the server allows.
            case.body |= {"before": "2024-01-01T00:00:00Z", "to": f"history-{next(_paths)}"}
        if "chart" in case.path:
            case.body |= {"start_time": "2025-10-09T00:00:00Z", "end_time": "2025-10-10T00:00:00Z"}
            # Of a set it takes a name of that.
            case.body.pop("feature", None)
        if "explain" in case.path and case.body.get("feature_set") and "feature_names" in case.body:
            # Of a set it takes the names of that.
            del case.body["feature_names"]
        if "history" in case.path and {"feature_set", "model"} & {*case.body}:
            case.body.pop("features", None)
    return case


_SET = {"name": "fuzz", "version": 1, "features": ["hour_of_day", "lag_1h"]}


def _kept(body: dict[str, Any]) -> dict[str, Any]:
    if "feature_sets" in body:
        # Whether a definition is one, its expressions and names say.
        body["feature_sets"] = [_SET] if body["feature_sets"] else []
    times = [body.get("start_time"), body.get("end_time")]
    if all(isinstance(one, str) for one in times):
        body["end_time"] = body["start_time"]
    if "percent" in body:
        body["percent"] = round(body["percent"], 2)
    if isinstance(body.get("output_path"), str):
        # Which URLs there may be, the server's settings say: here none.
        body["output_path"] = f"fuzz/{next(_paths)}.parquet"
        body.pop("format", None)
        body["parts"] = body.get("parts", False) or bool(body.get("partition_by"))
    if isinstance(body.get("horizons"), list):
        body["horizons"] = [one for one in body["horizons"] if isinstance(one, str)][:1]
    if isinstance(body.get("asset_ids"), list) and len(json.dumps(body)) > _MOST:
        body["asset_ids"] = body["asset_ids"][:50]
    return body
