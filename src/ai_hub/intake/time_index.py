"""Pandas frames and series whose index is the times: their rows as every frame's.

Where a frame has the times in its index and numbers in every column, and no column is ours, the
columns are assets, or, of one asset, series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ai_hub.errors import named
from ai_hub.intake.dialect.dialect import Dialect
from ai_hub.intake.read_options import ReadOptions
from ai_hub.intake.result import Remark

_NUMBERS = "iuf"
_TIMES = "M"


def with_time_column(
    data: Any, options: ReadOptions
) -> tuple[object, ReadOptions, Sequence[Remark]]:
    """What has a column of times, the options that it is read by, and what was taken for what.

    Whatever is no frame or series with an index of times comes back as it is.
    """
    index: Any = getattr(data, "index", None)
    dtype = getattr(index, "dtype", None)
    is_ours = hasattr(data, "iloc") and getattr(index, "nlevels", 0) == 1
    if not is_ours or getattr(dtype, "kind", "") != _TIMES or options.kind == "attributes":
        return data, options, ()
    constant = options.names.constants()
    if not hasattr(data, "columns"):  # a series
        data = data.to_frame("value" if "asset_id" in constant or data.name is None else data.name)
    names = [str(name) for name in data.columns]
    ours = set(options.fields_of([*names, str(index.name)]).values())
    if "timestamp" not in ours:
        own = options.names.mapped().get("timestamp", "timestamp")
        data = data.rename_axis(index=own)
    if str(data.index.name) not in names:
        data = data.reset_index()
    if options.kind == "weather" or options.dialect.wide is not None or ours - {"timestamp"}:
        return data, options, ()
    if not names or any(getattr(one, "kind", "") not in _NUMBERS for one in data[names].dtypes):
        return data, options, ()
    what = "series" if "asset_id" in constant else "assets"
    dialect = Dialect.of({**options.dialect.given(), "wide": what})
    remark = Remark(
        "wide", "wide", f"The columns of the frame were taken as {what}: {named(names)}."
    )
    return data, replace(options, dialect=dialect, said={**options.said, "wide": what}), (remark,)
