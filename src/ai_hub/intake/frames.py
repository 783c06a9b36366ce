"""Whatever Python hands over as rows or columns, as an Arrow table for the check.

Frames are recognised by what they can do, so neither pandas nor Polars has to be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import FIELDS
from ai_hub.intake.cells import to_column

_EXPECTED = (
    "a pandas or Polars frame, an Arrow table or reader, a list of dicts, or a dict of columns"
)
_MAX_OTHER_COLUMNS = 20
_NO_COLUMNS = (str, bytes, Mapping, Set)

# Units of datetime64 that Arrow does not know: those up to a day are dates.
_COARSER = dict.fromkeys(("Y", "M", "W", "D"), "M8[D]") | dict.fromkeys(("h", "m"), "M8[s]")
_FINER = {"ps": 10**6, "fs": 10**9, "as": 10**12}


Fields = Callable[[Sequence[str]], Mapping[str, str]]
"""Of the names that came, those that stand for one of our columns, and for which."""


def our_names(names: Sequence[str]) -> Mapping[str, str]:
    """Where only our own names stand for our columns."""
    return {name: name for name in names if name in FIELDS}


def read_again(data: object) -> object:
    """What gives the same rows as often as it is read: an iterator becomes a list or a table."""
    if isinstance(data, pa.RecordBatchReader):
        return _from_stream(data)
    if isinstance(data, Iterator):
        return list(data)
    return data


def to_table(data: object, fields: Fields = our_names) -> pa.Table:
    """`data` as an Arrow table, in its order; its cells are not checked yet.

    Cells of the columns that `fields` tells of are kept for the check, whatever they are.
    Raises InvalidInput for what is no table, such as a list of anything but dicts.
    """
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, Mapping):
        return _from_columns(data, fields)
    frame: Any = data
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return _from_pandas(frame, fields)
    if hasattr(data, "lazy"):  # Polars
        return _from_polars(frame.collect() if hasattr(data, "collect") else frame, fields)
    if hasattr(data, "__arrow_c_stream__") or isinstance(data, pa.RecordBatchReader):
        return _from_stream(frame)
    if isinstance(data, Iterable) and not isinstance(data, str | bytes | bytearray):
        return rows_to_table(list(data), fields)
    raise InvalidInput("rows", data, _EXPECTED)


def rows_to_table(rows: Sequence[object], fields: Fields = our_names) -> pa.Table:
    """Rows as dicts, as a table; a key that a row lacks is null there, an odd cell is marked."""
    for row in rows:
        if not isinstance(row, dict):
            raise InvalidInput("rows", row, "rows that are objects (dicts) with named columns")
    dicts: Sequence[dict[object, object]] = rows  # type: ignore[assignment]
    names = [n for n in dict.fromkeys(chain.from_iterable(dicts)) if isinstance(n, str)]
    if rows and not names:
        raise InvalidInput("rows", rows[0], "rows with the columns timestamp, asset_id, ...")
    ours = fields(names)
    columns = {
        _shown_name(name): to_column(ours[name], [row.get(name) for row in dicts])
        for name in names
        if name in ours
    }
    # The others are of no use but to say, where one is missing, which names came.
    others = [_shown_name(name) for name in names if name not in ours][:_MAX_OTHER_COLUMNS]
    return pa.table(columns | {name: pa.nulls(len(rows)) for name in others})


def _shown_name(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _from_stream(data: Any) -> pa.Table:
    try:
        reader = pa.RecordBatchReader.from_stream(data)
        table: pa.Table = reader.read_all()
    except (pa.ArrowException, TypeError, ValueError):
        raise InvalidInput("rows", type(data).__name__, _EXPECTED) from None
    return table


def _from_polars(frame: Any, fields: Fields) -> pa.Table:
    ours = fields(frame.columns)
    columns = [_from_polars_series(ours.get(s.name, s.name), s) for s in frame.get_columns()]
    return pa.table(columns, names=frame.columns)


def _from_polars_series(field: str, series: Any) -> pa.Array | pa.ChunkedArray:
    # Objects go to Arrow as the bytes of where they are in memory.
    if str(series.dtype) != "Object":
        try:
            return pa.chunked_array(series)
        except (pa.ArrowException, TypeError, ValueError):
            pass  # a type that Arrow does not know
    return to_column(field, series.to_list())


def _from_pandas(frame: Any, fields: Fields) -> pa.Table:
    frame, _ = with_index(frame, fields)
    names = [str(name) for name in frame.columns]
    ours = fields(names)
    columns = [
        _from_series(ours[name], frame.iloc[:, place]) if name in ours else pa.nulls(len(frame))
        for place, name in enumerate(names)
    ]
    return pa.table(columns, names=names)


def is_series(data: Any) -> bool:
    """Whether that is a column of pandas with its index."""
    return hasattr(data, "iloc") and not hasattr(data, "columns")


def with_index(
    frame: Any,
    fields: Fields = our_names,
    own: Mapping[str, str] = MappingProxyType({}),
    one_asset: bool = False,
) -> tuple[Any, str | None]:
    """A pandas frame whose index, where it is ours, is columns; what was taken as the assets.

    Ours are levels whose names stand for our columns (`own` has other names of these), times where
    no column has them, and, beside times, one other level where no column says the asset. Raises
    InvalidInput for columns of several levels, and for an index of periods that would be the times.
    """
    if frame.columns.nlevels > 1:
        expected = "columns of one level"
        hint = "Turn the others into rows, frame.stack(...), or join their names."
        raise InvalidInput("rows", f"columns of {frame.columns.nlevels} levels", expected, hint)
    index = frame.index
    called = [*index.names]
    there = {str(name) for name in frame.columns}
    taken = fields([*there, *(name for name in called if isinstance(name, str))])
    ours = {*taken.values()} | ({"asset_id"} if one_asset else set())
    levels = [index.get_level_values(place) for place in range(index.nlevels)]
    rest = [place for place, name in enumerate(called) if name not in taken]
    when, who = own.get("timestamp", "timestamp"), own.get("asset_id", "asset_id")
    times = [place for place in rest if _has_times(levels[place])]
    if "timestamp" not in ours and len(times) == 1 and fields([when]).get(when) == "timestamp":
        called[times[0]] = when
        rest.remove(times[0])
    if "timestamp" not in ours and any(str(one.dtype).startswith("period") for one in levels):
        hint = "frame.index.to_timestamp() has where each begins."
        raise InvalidInput("timestamp", "an index of periods", "instants", hint)
    assets = None
    if "asset_id" not in ours and len(called) > 1 and len(rest) == 1:
        assets = str(called[rest[0]] or rest[0])
        called[rest[0]] = who
    reached = [name for name in called if isinstance(name, str) and fields([name])]
    if not reached or there.intersection(reached):
        return frame, None
    return frame.set_axis(index.set_names(called), axis=0).reset_index(), assets


def _has_times(level: Any) -> bool:
    return level.inferred_type in ("datetime64", "datetime", "date")


def _from_series(field: str, series: Any) -> pa.Array | pa.ChunkedArray:
    if series.dtype != object:
        try:
            column = pa.array(series, from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError):
            column = None
        if column is not None and not isinstance(column.type, pa.BaseExtensionType):
            return column
    # Of a type that Arrow does not know, or not as what it is: cell by cell.
    return to_column(field, series.tolist())


def _from_columns(data: Mapping[Any, Any], fields: Fields) -> pa.Table:
    ours = fields([str(name) for name in data])
    columns = {
        str(name): _from_values(ours.get(str(name), str(name)), values)
        for name, values in data.items()
    }
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidInput("rows", lengths, "columns of one length")
    return pa.table(columns)


def _from_values(field: str, values: Any) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if hasattr(values, "iloc"):
        return _from_series(field, values)
    if hasattr(values, "__arrow_c_stream__"):
        return (
            _from_polars_series(field, values)
            if hasattr(values, "to_list")
            else pa.chunked_array(values)
        )
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biufM":
        return _from_numpy(field, values)
    ordered = isinstance(values, Iterable) and not isinstance(values, _NO_COLUMNS)
    if ordered and getattr(values, "ndim", 1) > 0:
        return to_column(field, list(values))
    raise InvalidInput(field, values, "a column: a list, an array or a series of values")


def _from_numpy(field: str, values: NDArray[Any]) -> pa.Array:
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    try:
        if native.dtype.kind == "M":
            return _from_datetimes(native)
        return pa.array(native.astype(np.float64) if native.dtype.itemsize > 8 else native)
    except (pa.ArrowException, OverflowError):
        return to_column(field, list(values))


def _from_datetimes(values: NDArray[Any]) -> pa.Array:
    """datetime64 of any unit as dates or timestamps; OverflowError where they cannot hold it."""
    unit, _ = np.datetime_data(values.dtype)
    if unit in _FINER:
        up = _FINER[unit]
        ticks = -(-values.astype(np.int64) // up)
        return pa.array(ticks, mask=np.isnat(values)).cast(pa.timestamp("us"))
    target = _COARSER.get(unit)
    if target is None:
        return pa.array(values)
    found = values.astype(target)
    if not np.array_equal(found.astype(values.dtype), values, equal_nan=True):
        raise OverflowError
    return pa.array(found)
