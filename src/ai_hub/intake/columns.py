"""A checked column, and Arrow columns as one plain array of a few types.

Columns come in whatever type. `times`, `ids` and `readings` check them: typed ones whole, and
Python looks at distinct values only, and only at those that a vectorised rule cannot decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.errors import InvalidInput
from ai_hub.intake.marks import cut, mark_cell, read_mark
from ai_hub.intake.result import Rejection, Remark

Mask = NDArray[np.bool_]

# No id, time or number is as long, in bytes.
_LONGEST = 2_000
_TOO_LONG = mark_cell("...", f"a text of at most {_LONGEST} bytes")


@dataclass(frozen=True, slots=True)
class Column:
    """A checked column.

    `keys` has a value per row that sorts as the column does (anything where `faulty`), `build`
    makes the Arrow column of some of them, `why` words the fault of a row, `raw` is what came.
    Of optional cells that are null now, `unreadable` are those that held something else than a
    number and `outside` those beyond the physical limits.
    """

    field: str
    keys: NDArray[Any]
    faulty: Mask
    build: Callable[[NDArray[Any]], pa.Array]
    why: Callable[[int], str]
    raw: pa.Array | None
    unreadable: int = 0
    outside: int = 0
    remarks: tuple[Remark, ...] = ()

    def shown(self, row: int) -> object:
        """The cell of `row` as a rejection shows it: a string, a number or None."""
        return None if self.raw is None else _shown_cell(self.raw, row)


def column(table: pa.Table, field: str) -> pa.Array | None:
    """The column of that name as one plain array, texts as `string`; None if there is none.

    Raises InvalidInput if there are several.
    """
    count = table.column_names.count(field)
    if count > 1:
        raise InvalidInput(field, table.column_names, f'one column named "{field}"')
    return plain(table.column(field)) if count else None


def rejection(columns: Sequence[Column], row: int, first_row: int) -> Rejection:
    """The rejection of a row by the first of its columns that is at fault."""
    first = next(checked for checked in columns if checked.faulty[row])
    mark = None
    if first.raw is not None and pa.types.is_string(first.raw.type):
        mark = read_mark(first.raw[row].as_py())
    field = None if mark is not None and mark.whole_row else first.field
    return Rejection(first_row + row, field, first.shown(row), first.why(row))


def plain(values: Any) -> pa.Array:
    """An array or chunked array as one array, dictionaries decoded, texts as `string`."""
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    try:
        decoded = [_decoded(chunk) for chunk in chunks]
    except pa.ArrowNotImplementedError:
        decoded = chunks  # of a type that no column of ours can be: the check refuses it
    if not decoded:
        return pa.nulls(0, values.type)
    return decoded[0] if len(decoded) == 1 else pa.concat_arrays(decoded)


def _decoded(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        # Those that are there, each once: of a slice, the dictionary is still that of the whole.
        used = values.indices.unique().drop_null()
        places = pc.index_in(values.indices, used)
        named = values.dictionary
        if pa.types.is_string_view(named.type):
            named = _from_views(named)
        return _without_long(_decoded(named.take(used))).take(places)
    if pa.types.is_run_end_encoded(kind):
        return _decoded(pc.run_end_decode(values))
    if pa.types.is_large_string(kind):
        return values.cast(pa.string())
    if pa.types.is_string_view(kind):
        return _from_views(values)
    return values


def _without_long(texts: pa.Array) -> pa.Array:
    """Texts that rows share, those that nothing of ours can be as marks: never rows times them."""
    if not pa.types.is_string(texts.type):
        return texts
    long = pc.greater(pc.binary_length(texts), _LONGEST)
    if not pc.any(long).as_py():
        return texts
    return pc.if_else(long, pa.scalar(_TOO_LONG), texts)


def _from_views(views: pa.Array) -> pa.Array:
    _, places, *data = views.buffers()
    first, size = views.offset, len(views)
    lengths = np.frombuffer(places, np.int32)[4 * first : 4 * (first + size) : 4]
    long = (lengths > _LONGEST) & ~nulls(views)
    if not long.any():
        return views.cast(pa.string())
    # As null first, since a cast would write each of them out.
    kept = pa.array(~(long | nulls(views))).buffers()[1]
    shown = pa.Array.from_buffers(
        views.type, size, [kept, places.slice(16 * first, 16 * size), *data]
    )
    return pc.if_else(pa.array(long), pa.scalar(_TOO_LONG), shown.cast(pa.string()))


def nulls(values: pa.Array) -> Mask:
    """Where an array is null."""
    return bools(values.is_null())


def bools(values: Any) -> Mask:
    """A boolean array as a mask; null is False."""
    mask: Mask = np.asarray(pc.fill_null(values, False))
    return mask


def _shown_cell(raw: pa.Array, row: int) -> object:
    cell = raw[row]
    if not cell.is_valid:
        return None
    if pa.types.is_timestamp(raw.type):
        # Not as_py: a datetime cannot hold every instant that a column can.
        naive = raw.slice(row, 1).cast(pa.timestamp(raw.type.unit)).cast(pa.string())[0].as_py()
        if not naive[:1].isdigit() and not naive[:2].strip("-").isdigit():
            return f"{cell.value} {raw.type.unit} from 1970"
        return f"{naive}Z" if raw.type.tz else str(naive)
    try:
        value = cell.as_py()
    except (ValueError, OverflowError, pa.ArrowException):
        return cut(str(raw.type))
    if isinstance(value, str):
        mark = read_mark(value)
        shown = value if mark is None else mark.value
        return cut(shown) if isinstance(shown, str) else shown
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, int | float) else cut(str(value))
