"""Ids of a column: tenants, assets and series, without the blanks around them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ai_hub.definitions.values import id_fault
from ai_hub.intake.columns import Column, Mask, bools
from ai_hub.intake.dialect.nulls import NO_MORE, TOKENS, Nulls
from ai_hub.intake.marks import mark_cell, read_mark
from ai_hub.intake.result import Remark

# What a spreadsheet makes of a long number, or of a column with an empty cell.
_SPREADSHEET = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+|[0-9]+\.0+")
_ASCII = "^[!-~](?:[ -~]*[!-~])?$"
# Marks that nobody sees, such as one of the byte order inside a file.
_INVISIBLE = "\u200b\u200e\u200f\u2060\ufeff"
_AROUND = re.compile(rf"^[\s{_INVISIBLE}]+|[\s{_INVISIBLE}]+$")
_FLOATS = (
    "a string or a whole number; these ids are floats, which a column of whole numbers with an "
    "empty cell becomes: write them as text"
)
_SHOWN = 3
_FEW = 10_000


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
    names = encoded.dictionary
    # Of very many Arrow says which are ids as they stand, while other threads go on; Python looks
    # at the others.
    few = len(names) <= _FEW
    odd = np.arange(len(names)) if few else np.flatnonzero(~_plain(names, limit, only, known))
    others = [_name(text, default, known) for text in _taken(names, odd)]
    # A null row has the default, which is the last name.
    whys = {int(at): _why(name, limit, only) for at, name in zip(odd, others, strict=True)}
    whys[len(names)] = _why(default, limit, only)
    rank, dictionary = (
        _by_python([*others, default])
        if few
        else _by_arrow(
            pa.concat_arrays([_with(names, odd, others), pa.array([default], pa.string())])
        )
    )
    codes = np.asarray(pc.fill_null(encoded.indices, len(names)))
    faulty = np.zeros(len(names) + 1, np.bool_)
    faulty[[at for at, why in whys.items() if why is not None]] = True
    return Column(
        field,
        rank[codes],
        faulty[codes],
        lambda keys: dictionary.take(pa.array(keys)),
        lambda row: f"expected {whys[int(codes[row])]}",
        raw,
        remarks=tuple(_remarks(field, dictionary)),
    )


def _by_python(names: Sequence[str | None]) -> tuple[NDArray[np.int64], pa.Array]:
    """The places of some names among all of them in their order, and these."""
    distinct = sorted({name for name in names if name is not None})
    place = {name: at for at, name in enumerate(distinct)}
    ranks = [0 if name is None else place[name] for name in names]
    return np.array(ranks, np.int64), pa.array(distinct, pa.string())


def _by_arrow(names: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """The same of very many."""
    distinct = names.drop_null().unique()
    distinct = distinct.take(pc.sort_indices(distinct))
    ranks = np.asarray(pc.fill_null(pc.index_in(names, distinct), 0))
    return ranks.astype(np.int64), distinct


def _taken(names: pa.Array, places: NDArray[np.intp]) -> list[str]:
    some = names if len(places) == len(names) else names.take(pa.array(places))
    found: list[str] = some.to_pylist()
    return found


def _with(names: pa.Array, places: NDArray[np.intp], others: Sequence[str | None]) -> pa.Array:
    """The names with others at some places."""
    if not others:
        return names
    mask = np.zeros(len(names), np.bool_)
    mask[places] = True
    return pc.replace_with_mask(names, pa.array(mask), pa.array(others, pa.string()))


def _plain(names: pa.Array, limit: int, only: str | None, known: Nulls) -> Mask:
    """Which names are ids as they stand, among those of ASCII."""
    found = bools(pc.match_substring_regex(names, _ASCII))
    found &= bools(pc.less_equal(pc.binary_length(names), limit)) & ~known.among_ids(names)
    if only is not None:
        found &= bools(pc.equal(names, only))
    return found


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


def _remarks(field: str, names: pa.Array) -> Iterator[Remark]:
    if len(names) > _FEW:
        number = pc.match_substring_regex(names, f"^(?:{_SPREADSHEET.pattern})$")
        names = names.filter(pc.or_(number, pc.is_in(pc.utf8_lower(names), pa.array(TOKENS))))
    found: list[str] = names.to_pylist()
    odd = [name for name in found if _SPREADSHEET.fullmatch(name)]
    if odd:
        yield Remark(
            "ids",
            field,
            f"{field}: {_some(odd)} may be whole numbers that a spreadsheet or a column of floats "
            "changed. They are taken as they are; if so, write them as text and send them again.",
        )
    null = [name for name in found if name and name.lower() in TOKENS]
    if null:
        yield Remark(
            "null ids",
            field,
            f"{field}: {_some(null)} is taken as an id. If it stands for null, say so (null).",
        )


def _some(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(f'"{name}"' for name in names[:_SHOWN]) + more
