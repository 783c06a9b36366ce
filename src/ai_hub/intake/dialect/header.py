"""The names of columns: which of a file's names is meant, and what to say where none is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches

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

MAX_COLUMNS = 50_000
"""The most columns of a text: names and cells of one line are taken apart in one step."""
_COMPARED = 1_000
_FEW = 10

_NUMBERED = re.compile(r"(.*[^#\s])#([1-9]\d{0,3})")
_ODD = re.compile(r"[\s#]")
"""What the loosest spelling of a name leaves out."""
_INSTANT = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d")

DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}


class Names:
    """The names of a table's columns, in which one is found however many there are."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        # By the loosest spelling, as which are equal all that are so by another.
        self._spelled = _loosely(names)
        self._there = {*self._spelled}

    def places_of(self, name: str) -> list[int]:
        """Where a name stands: as it is, or else as nearly so as it does anywhere.

        `kWh#2` is the second column named kWh, if none has that name itself.
        """
        loosely = _SPELLINGS[-1](name)
        places: list[int] = []
        if loosely in self._there:
            with suppress(ValueError):
                while True:
                    places.append(self._spelled.index(loosely, places[-1] + 1 if places else 0))
        for spelling in _SPELLINGS:
            spelled = spelling(name)
            if found := [at for at in places if spelling(self.names[at]) == spelled]:
                return found
        numbered = _NUMBERED.fullmatch(name)
        if numbered is None:
            return []
        number = int(numbered.group(2))
        return self.places_of(numbered.group(1))[number - 1 : number]


def _loosely(names: Sequence[str]) -> list[str]:
    """Each name by the loosest spelling; very many that are plain in one step."""
    whole = "\0".join(names)
    if whole.isascii() and whole.count("\0") == len(names) - 1 and not _ODD.search(whole):
        return whole.casefold().split("\0")
    return [_SPELLINGS[-1](name) for name in names]


def match_columns(
    header: Names,
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
        places = header.places_of(name)
        if len(places) > 1:
            numbers = " and ".join(str(place + 1) for place in places[:_FEW])
            others = " and others" if len(places) > _FEW else ""
            hint = f'Columns {numbers}{others} have that name. "{name}#2" names the second of them.'
            raise InvalidInput(field, _shown(header.names), f'one column named "{name}"', hint)
        if places:
            found[field] = places[0]
        elif field in columns or field in required:
            raise missing(field, name, header.names, delimiter, readings)
    return found


def missing(
    field: str, name: str, header: Sequence[str], delimiter: str = "", readings: bool = True
) -> InvalidInput:
    """The error of a column that is not there: what came, and the name that is nearest."""
    spelling = _SPELLINGS[-1]
    # Each of them is compared letter by letter.
    some = header[:_COMPARED]
    near = get_close_matches(spelling(name), [spelling(other) for other in some], 1, 0.5)
    hints = []
    if delimiter:
        marks = DELIMITER_NAMES.get(delimiter, repr(delimiter))
        hints.append(f"The names are read as separated by {marks}.")
    if near:
        nearest = next(other for other in some if spelling(other) == near[0])
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
