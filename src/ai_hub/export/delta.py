"""An export as a new version of a Delta table: its parts below the table's folder, named by one
commit of the table's own log. No catalog takes part.

An export is decided by its manifest, as every other. The commit follows from that, and is made by
whoever finds it missing: it has the export's id as a transaction of the table, so it is there once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ai_hub.errors import ExportFailed, InvalidInput
from ai_hub.storage.faults import masked
from ai_hub.storage.objects import delta_options
from ai_hub.storage.url import Url

if TYPE_CHECKING:
    from deltalake import DeltaTable

_INSTALL = "pip install 'ai-hub-feature-store[delta]'"
_METADATA = (
    *("feature_set", "version", "fingerprint", "policy", "missing", "tenant_id", "start_time"),
    *("end_time", "row_count", "semantics"),
)
_AS_READ = 1
"""The version of an export's transaction: it has one."""


def check_extra() -> None:
    """Raise InvalidInput where the extra is not installed."""
    try:
        import deltalake  # noqa: F401
    except ImportError as error:
        expected = f"the extra delta to be installed ({error})"
        raise InvalidInput("format", "delta", expected, _INSTALL) from None


def check_table(url: Url, schema: pa.Schema, columns: Sequence[str]) -> None:
    """Raise InvalidInput where a table is there with other columns, or partitioned by others;
    ExportFailed where it cannot be read."""
    with _said(url):
        table = _table(url)
        if table is None:
            return
        there = {field.name: field.type for field in pa.schema(table.schema().to_arrow())}
        by = tuple(table.metadata().partition_columns)
    ours = {field.name: field.type for field in plain(schema, columns)}
    if by != tuple(columns):
        expected = f"a table partitioned by {', '.join(columns) or 'nothing'}"
        hint = f"It is partitioned by {', '.join(by) or 'nothing'}."
        raise InvalidInput("output_path", str(url), expected, hint)
    differ = sorted(
        name for name in {*there, *ours} if _family(there.get(name)) != _family(ours.get(name))
    )
    if differ:
        expected = "a table with the columns of this export"
        hint = f"They differ in {', '.join(differ[:10])}: name another table."
        raise InvalidInput("output_path", str(url), expected, hint)


def commit(url: Url, folder: str, manifest: Mapping[str, Any]) -> None:
    """Let a table have the parts in a folder of it that a manifest names, unless it has them.
    Raises ExportFailed."""
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.transaction import AddAction, RemoveAction, Transaction

    layout = manifest.get("layout") or {"columns": []}
    columns: list[str] = layout["columns"]
    fields = [pa.field(one["name"], _type(one["type"])) for one in manifest["columns"]]
    schema = Schema.from_arrow(plain(pa.schema(fields), columns))
    actions: list[AddAction | RemoveAction] = [
        AddAction(
            f"{folder}/{part['path']}",
            part["bytes"],
            dict(word.split("=", 1) for word in part["path"].split("/")[:-1]),
            int(manifest["written_at"]),
            True,
            json.dumps({"numRecords": part["rows"]}),
        )
        for part in manifest["parts"]
    ]
    said = {f"ai_hub.{name}": _text(manifest.get(name)) for name in _METADATA}
    properties = CommitProperties(
        custom_metadata={"ai_hub.export_id": manifest["export_id"], **said},
        app_transactions=[Transaction(manifest["export_id"], _AS_READ)],
    )
    with _said(url):
        table = _table(url)
        if table is None:
            # Of several who find none, one makes it; then the others append to it.
            table = DeltaTable.create(
                str(url), schema, mode="ignore", partition_by=columns or None,
                storage_options=delta_options(url),
            )  # fmt: skip
        if table.transaction_version(manifest["export_id"]) is None:
            table.create_write_transaction(
                actions, "append", schema, columns or None, commit_properties=properties
            )


def plain(schema: pa.Schema, columns: Sequence[str]) -> pa.Schema:
    """The columns of a table: those of its files, without dictionaries, and those of its layout.

    All may be null: another export into the same table may have nulls where this one has none.
    """
    fields = [
        pa.field(one.name, one.type.value_type if pa.types.is_dictionary(one.type) else one.type)
        for one in schema
    ]
    return pa.schema([*fields, *(pa.field(name, pa.string()) for name in columns)])


def _family(kind: pa.DataType | None) -> str:
    """A type as Delta has it, which does not tell kinds of texts apart."""
    text = str(kind)
    return "string" if text in ("string", "large_string", "string_view") else text


def _type(text: str) -> pa.DataType:
    """The type of a column as the manifest says it."""
    if text.startswith("dictionary<"):
        text = text.removeprefix("dictionary<values=").split(",")[0]
    if text.startswith("timestamp["):
        unit, _, zone = text[len("timestamp[") : -1].partition(", tz=")
        return pa.timestamp(unit, zone or None)
    return pa.type_for_alias(text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _table(url: Url) -> DeltaTable | None:
    from deltalake import DeltaTable

    options = delta_options(url)
    if not DeltaTable.is_deltatable(str(url), storage_options=options):
        return None
    return DeltaTable(str(url), storage_options=options)


@contextmanager
def _said(url: Url) -> Iterator[None]:
    """Raise ExportFailed in place of an error of the library."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        first = masked(str(error).split("\n")[0])[:300]
        raise ExportFailed(f"output_path: the Delta table {url} was not written: {first}") from None
