"""Frames with a row for each time and a column of numbers for each asset: as long as any other.

With the times in the index of pandas, and one asset named for all, the columns are its series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.errors import named
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.frames import is_series, to_table, with_index
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.result import Remark

_NUMBER = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_TIME = (pa.types.is_timestamp, pa.types.is_date)
_KINDS = {"i": "number", "u": "number", "f": "number", "M": "time"}
_FRAMES = ("__arrow_c_stream__", "lazy", "iloc")
"""What only a frame has."""


def recognised(data: Any, options: ReadOptions) -> tuple[object, ReadOptions, Sequence[Remark]]:
    """What has its times in a column, the options that it is read by, and what was taken for what.

    Whatever is no frame or series comes back as it is.
    """
    if not any(hasattr(data, one) for one in _FRAMES):
        return data, options, ()
    constant = options.names.constants()
    own = options.names.mapped()
    remarks: list[Remark] = []
    by_index = False
    if hasattr(data, "iloc"):
        if is_series(data):
            unnamed = data.name is None or "asset_id" in constant or data.index.nlevels > 1
            data = data.to_frame("value" if unnamed else data.name)
        before = len(data.columns)
        data, assets = with_index(data, options.fields_of, own, "asset_id" in constant)
        by_index = len(data.columns) > before
        if assets is not None:
            remarks.append(_remark(f"The level {assets!r} of the index was taken as asset ids."))
    else:
        data = to_table(data, options.fields_of)
    kinds = _kinds(data)
    ours = options.fields_of([*kinds])
    if options.kind != "observations" or options.dialect.wide is not None:
        return data, options, remarks
    times = [name for name in kinds if ours.get(name) == "timestamp"] or [
        name for name, kind in kinds.items() if kind == "time"
    ]
    rest = [name for name in kinds if name not in times]
    if (
        len(times) != 1
        or {*ours.values()} - {"timestamp"}
        or not rest
        or any(kinds[name] != "number" for name in rest)
    ):
        return data, options, remarks
    # Two numbers of one row that nobody named may as well be an id and a reading.
    if not by_index and (len(rest) == 1 or "asset_id" in constant):
        return data, options, remarks
    what = "series" if "asset_id" in constant else "assets"
    if what == "assets" and not _once_each(data, times[0]):
        return data, options, remarks
    if times[0] not in ours:
        data = _renamed(data, times[0], own.get("timestamp", "timestamp"))
    dialect = Dialect.of({**options.dialect.given(), "wide": what})
    remarks.append(_remark(f"The columns of the frame were taken as {what}: {named(rest)}."))
    return data, replace(options, dialect=dialect, said={**options.said, "wide": what}), remarks


def _remark(text: str) -> Remark:
    return Remark("wide", "wide", text)


def _kinds(frame: Any) -> dict[str, str]:
    """The names of columns, and whether each holds numbers or times."""
    if isinstance(frame, pa.Table):
        return {field.name: _kind_of(field.type) for field in frame.schema}
    kinds = (_KINDS.get(getattr(one, "kind", ""), "") for one in frame.dtypes)
    return dict(zip(map(str, frame.columns), kinds, strict=True))


def _kind_of(type_: pa.DataType) -> str:
    if any(is_(type_) for is_ in _NUMBER):
        return "number"
    return "time" if any(is_(type_) for is_ in _TIME) else ""


def _once_each(frame: Any, name: str) -> bool:
    """Whether times come but once. Those of a clock on the wall come twice in an hour a year; where
    they are as many times less than the rows, there is a row for each asset."""
    if isinstance(frame, pa.Table):
        different = pc.count_distinct(frame[name]).as_py()
        return bool(2 * different > len(frame))
    return bool(2 * frame.iloc[:, _place(frame, name)].nunique() > len(frame))


def _place(frame: Any, name: str) -> int:
    return [*map(str, frame.columns)].index(name)


def _renamed(frame: Any, name: str, new: str) -> Any:
    if isinstance(frame, pa.Table):
        return frame.rename_columns([new if one == name else one for one in frame.column_names])
    return frame.set_axis([new if str(one) == name else one for one in frame.columns], axis=1)
