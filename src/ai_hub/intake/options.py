"""Options of reading: what every door offers, made of the fields of frozen values.

A field with `option(...)` as its default is one option. The command line has it as a flag, the
HTTP routes as a query parameter, Python as a keyword, all of the same name.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ai_hub.definitions.values import MAX_TEXT
from ai_hub.errors import InvalidInput

BatchKind = Literal["observations", "weather", "attributes"]
"""What rows are."""

Kind = type[str] | type[int] | type[bool]

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One field as a door offers it: at most so many values, each of at most `longest` characters.
    `only` names the kind of rows that it is for, if it is not for several."""

    name: str
    kind: Kind
    metavar: str
    help: str
    only: BatchKind | None = None
    most: int = 1
    longest: int = MAX_TEXT
    words: Mapping[str, str] = field(default_factory=dict)
    """Words for values that a shell or a reader would not see, such as tab."""

    @property
    def repeatable(self) -> bool:
        """Whether it takes several values."""
        return self.most > 1

    @property
    def flag(self) -> str:
        """The name on a command line."""
        return "--" + self.name.replace("_", "-")

    def check(self, value: object) -> None:
        """Raise InvalidInput for too many values, and for a text that is too long."""
        texts: list[object] = [value]
        if self.repeatable and isinstance(value, list | tuple | Mapping):
            texts = [*(value.values() if isinstance(value, Mapping) else value)]
        if len(texts) > self.most:
            raise InvalidInput(self.name, len(texts), f"at most {self.most} texts")
        for text in texts:
            if isinstance(text, str) and len(text) > self.longest:
                raise InvalidInput(self.name, text, f"at most {self.longest:,} characters")

    def parse(self, text: str) -> str | int | bool:
        """The value of a text, as a query has it; InvalidInput if it has none."""
        if self.kind is int:
            if not text.isascii() or not text.isdigit() or len(text) > 9:
                raise InvalidInput(self.name, text, "a whole number, 0 or more")
            return int(text)
        if self.kind is bool:
            if text.lower() not in _FLAGS:
                raise InvalidInput(self.name, text, "true or false")
            return _FLAGS[text.lower()]
        return text

    def text(self, value: object) -> str:
        """A value as one writes it."""
        if isinstance(value, bool):
            return str(value).lower()
        shown = {mark: word for word, mark in self.words.items() if word.isalpha()}
        return shown.get(value, value) if isinstance(value, str) else str(value)

    def texts(self, value: object) -> list[str]:
        """The value, or each of the values of a repeatable one, as one writes it."""
        if not self.repeatable:
            return [self.text(value)]
        if isinstance(value, Mapping):
            return [f"{key}={each}" for key, each in value.items()]
        if isinstance(value, Iterable) and not isinstance(value, str):
            return [self.text(each) for each in value]
        return [self.text(value)]


def option(
    metavar: str,
    help: str,
    *,
    default: Any = None,
    most: int = 1,
    longest: int = MAX_TEXT,
    only: BatchKind | None = None,
    words: Mapping[str, str] | None = None,
) -> Any:
    """The default of a field that is an option."""
    said = {"metavar": metavar, "help": help, "only": only, "most": most, "longest": longest}
    return field(default=default, metadata={**said, "words": dict(words or {})})


def options_of(kind: type) -> tuple[Option, ...]:
    """The options that a frozen value has as fields, in their order."""
    return tuple(
        Option(one.name, _kind(str(one.type)), **one.metadata)
        for one in fields(kind)
        if "metavar" in one.metadata
    )


def _kind(annotation: str) -> Kind:
    """What texts of an option are: whole numbers, flags, or texts that its value is made of."""
    named = annotation.split(" | ")
    return int if "int" in named else bool if "bool" in named else str


def as_words(options: Iterable[Option], values: Mapping[str, object]) -> list[str]:
    """Values as words of a command line."""
    known = {option.name: option for option in options}
    words: list[str] = []
    for name, value in values.items():
        option = known[name]
        if isinstance(value, bool):
            words.append(option.flag if value else f"--no-{option.flag.removeprefix('--')}")
        else:
            words += [word for text in option.texts(value) for word in (option.flag, text)]
    return words


def as_command(options: Iterable[Option], values: Mapping[str, object]) -> str:
    """Values as options of a command, quoted as a shell reads them."""
    return shlex.join(as_words(options, values))
