"""The names of columns: which of a file's names is meant, and what to say where none is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache

from ai_hub.errors import InvalidInput
from ai_hub.intake.batch import FIELDS
from ai_hub.intake.ids import without_blanks

_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: without_blanks(name),
    lambda name: " ".join(without_blanks(name).split()),
    lambda name: " ".join(without_blanks(name).split()).casefold(),
    lambda name: " ".join(without_blanks(name).lstrip("#").split()).casefold(),
)
"""A name as it stands there, and what may differ in it: blanks, line breaks, case, a #."""

_NUMBERED = re.compile(r"(.*[^#\s])#([1-9]\d{0,3})")
_INSTANT = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d")

DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}


def places_of(header: Sequence[str], name: str) -> list[int]:
    """Where in `header` a name stands: as it is, or else as nearly so as it does anywhere.

    `kWh#2` is the second column named kWh, if none has that name itself.
    """
    for spelling, spelled in zip(_SPELLINGS, _spelled(tuple(header)), strict=True):
        if found := spelled.get(spelling(name)):
            return found
    numbered = _NUMBERED.fullmatch(name)
    if numbered is None:
        return []
    number = int(numbered.group(2))
    return places_of(header, numbered.group(1))[number - 1 : number]


@lru_cache(maxsize=256)
def _spelled(header: tuple[str, ...]) -> list[dict[str, list[int]]]:
    """For every spelling, where the names stand that are spelled so."""
    found: list[dict[str, list[int]]] = [{} for _ in _SPELLINGS]
    for spelling, places in zip(_SPELLINGS, found, strict=True):
        for place, name in enumerate(header):
            places.setdefault(spelling(name), []).append(place)
    return found


def match_columns(
    header: Sequence[str],
    columns: Mapping[str, str],
    required: Sequence[str],
    delimiter: str = "",
    readings: bool = True,
) -> dict[str, int]:
    """Our columns to their places in `header`: those mapped, and those that have our name there.

    `columns` maps our names to the file's; `readings`: the rows may be those of a wide table of
    readings. Raises InvalidInput, named after our column, for a
    mapped or required one that is not there, or is there more than once.
    """
    own = [field for field in (*required, *sorted(FIELDS - {*required})) if field not in columns]
    found: dict[str, int] = {}
    for field, name in [*((field, field) for field in own), *columns.items()]:
        places = places_of(header, name)
        if len(places) > 1:
            numbers = " and ".join(str(place + 1) for place in places)
            hint = f'Columns {numbers} have that name. "{name}#2" names the second of them.'
            raise InvalidInput(field, _shown(header), f'one column named "{name}"', hint)
        if places:
            found[field] = places[0]
        elif field in columns or field in required:
            raise missing(field, name, header, delimiter, readings)
    return found


def missing(
    field: str, name: str, header: Sequence[str], delimiter: str = "", readings: bool = True
) -> InvalidInput:
    """The error of a column that is not there: what came, and the name that is nearest."""
    spelling = _SPELLINGS[-1]
    near = get_close_matches(spelling(name), [spelling(other) for other in header], 1, 0.5)
    hints = []
    if delimiter:
        marks = DELIMITER_NAMES.get(delimiter, repr(delimiter))
        hints.append(f"The names are read as separated by {marks}.")
    if near:
        nearest = next(other for other in header if spelling(other) == near[0])
        hints.append(f'The nearest is "{nearest.strip()}".')
    instants = [other for other in header if _INSTANT.match(other)]
    if len(instants) > 1:
        hints.append(
            f'Names such as "{instants[0].strip()}" are times with a date, and --wide times takes '
            "times of the day alone: turn the table, so that each time has a row."
        )
    if readings and field in ("asset_id", "value"):
        hints.append(
            "If columns are named after assets, series or times of day, say --wide assets, "
            "--wide series or --wide times."
        )
    return InvalidInput(field, _shown(header), f'a column named "{name}"', " ".join(hints))


def _shown(header: Sequence[str]) -> list[str]:
    return [" ".join(name.split()) for name in header]
