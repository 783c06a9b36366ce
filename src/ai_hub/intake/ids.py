"""Ids of a column: tenants, assets and series, without the blanks around them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ai_hub.definitions.values import id_fault
from ai_hub.intake.columns import Column
from ai_hub.intake.marks import mark_cell, read_mark
from ai_hub.intake.nulls import NO_MORE, TOKENS, Nulls
from ai_hub.intake.result import Remark

# What a spreadsheet makes of a long number, or of a column with an empty cell.
_SPREADSHEET = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+|[0-9]+\.0+")
# Marks that nobody sees, such as one of the byte order inside a file.
_INVISIBLE = "\u200b\u200e\u200f\u2060\ufeff"
_AROUND = re.compile(rf"^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$")
_FLOATS = (
    "a string or a whole number; these ids are floats, which a column of whole numbers with an "
    "empty cell becomes: write them as text"
)
_SHOWN = 3


def check_ids(
    field: str,
    raw: pa.Array | None,
    size: int,
    limit: int,
    default: str | None = None,
    only: str | None = None,
    known: Nulls = NO_MORE,
) -> Column:
    """Ids without the blanks around them, whole numbers as decimal text.

    Null takes `default`, and so do the empty text and what `known` names as null. `size` is the
    number of rows (a column may be absent), `limit` the longest id in characters; with `only`, any
    other id is at fault.
    """
    texts = pa.nulls(size, pa.string()) if raw is None else id_texts(raw)
    encoded = texts.dictionary_encode()
    names = [_name(text, default, known) for text in encoded.dictionary.to_pylist()]
    names.append(default)  # a null row has the code -1, the last
    codes = np.asarray(pc.fill_null(encoded.indices, -1))
    faults = [_why(name, limit, only) for name in names]
    distinct = sorted({name for name in names if name is not None})
    rank = {name: place for place, name in enumerate(distinct)}
    keys = np.array([0 if name is None else rank[name] for name in names], dtype=np.int64)[codes]
    faulty = np.array([fault is not None for fault in faults], dtype=np.bool_)[codes]
    dictionary = pa.array(distinct, pa.string())
    return Column(
        field,
        keys,
        faulty,
        lambda keys: dictionary.take(pa.array(keys)),
        lambda row: f"expected {faults[codes[row]]}",
        raw,
        remarks=tuple(_remarks(field, distinct)),
    )


def _name(text: str, default: str | None, known: Nulls) -> str | None:
    name = without_blanks(text)
    if known.is_id(name):
        return default
    # With no default the empty text stays, to be told from an id that is not there.
    return name if name or default is None else default


def without_blanks(text: str) -> str:
    """A text without the blanks around it, and without marks that nobody sees."""
    return text.strip() if text.isascii() else _AROUND.sub("", text)


def id_texts(raw: pa.Array) -> pa.Array:
    """Ids as texts, those of another type than texts and whole numbers as marks."""
    # Meter ids are often numeric, and a frame or Parquet file then has an integer column.
    if pa.types.is_string(raw.type) or pa.types.is_integer(raw.type):
        return raw.cast(pa.string())
    if pa.types.is_null(raw.type):
        return pa.nulls(len(raw), pa.string())
    # A mark for every value, so that a default cannot take the place of something that was sent.
    mark = mark_cell("", _FLOATS if pa.types.is_floating(raw.type) else "")
    return pc.if_else(raw.is_valid(), pa.scalar(mark), pa.scalar(None, pa.string()))


def _why(name: str | None, limit: int, only: str | None) -> str | None:
    mark = read_mark(name)
    if mark is not None:
        return mark.expected or "a string"
    if only is not None and name != only:
        return f"{only!r}, the tenant of this batch"
    return id_fault(name, limit)


def _remarks(field: str, names: Sequence[str]) -> Iterator[Remark]:
    odd = [name for name in names if _SPREADSHEET.fullmatch(name)]
    if odd:
        yield Remark(
            "ids",
            field,
            f"{field}: {_some(odd)} may be whole numbers that a spreadsheet or a column of floats "
            "changed. They are taken as they are; if so, write them as text and send them again.",
        )
    null = [name for name in names if name and name.lower() in TOKENS]
    if null:
        yield Remark(
            "null ids",
            field,
            f"{field}: {_some(null)} is taken as an id. If it stands for null, say so (null).",
        )


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(f'"{name}"' for name in names[:_SHOWN]) + more
