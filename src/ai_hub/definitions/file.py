"""A definitions file: the feature sets of a `features.py`, or of a document in YAML or JSON.

`plan` and `apply` load it, where they are called, and nothing else does: what goes on to a server
is the document.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ai_hub.definitions.document import Place, read_document, unique
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.errors import InvalidDefinition, InvalidInput

if TYPE_CHECKING:
    import yaml

_ENDINGS = "a file named .py, .yaml, .yml or .json"
_MOST_BYTES = 2_000_000
"""Of a document: thousands of features are less."""
_MOST_VALUES = 200_000
"""In a document, what an alias stands for being counted each time."""


def load_file(path: str | Path) -> tuple[FeatureSet, ...]:
    """The feature sets of a file, in its order.

    A Python file is run, and its sets are those that names of the module stand for, alone or in
    lists, tuples and dicts. Raises InvalidInput, which names the line where there is one, and
    OSError.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InvalidInput("definitions file", file.name, _ENDINGS)
    return reader(file)


def _of_python(file: Path) -> tuple[FeatureSet, ...]:
    file.open("rb").close()  # What runpy says of a file that is not there is of an importer.
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        # What it prints is not what the command answers.
        with redirect_stdout(sys.stderr):
            names = runpy.run_path(str(file))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # SystemExit is one of those, and a class of its own may be.
        raise _fault(file, error) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    sets = {id(one): one for one in _sets_in(names, set())}
    if not sets:
        raise InvalidInput(
            file.name,
            "no feature set",
            "a FeatureSet that a name of the module stands for, alone or in a list, tuple or dict",
        )
    for one in sets.values():
        if one.name is None:
            raise InvalidInput(file.name, "a set without a name", "sets with name and version")
    try:
        return unique(sets.values())
    except InvalidDefinition as error:
        raise _in(file, None, error) from None


def _sets_in(value: object, seen: set[int]) -> Iterator[FeatureSet]:
    """The sets that a value is or holds, in its order; `seen` are the containers looked into."""
    if isinstance(value, FeatureSet):
        yield value
    elif isinstance(value, list | tuple | dict) and id(value) not in seen:
        seen.add(id(value))
        for one in value.values() if isinstance(value, dict) else value:
            yield from _sets_in(one, seen)


def _fault(file: Path, error: BaseException) -> InvalidInput:
    """What ended the run of a file, with the line of the file that it came from."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line = error.lineno
    else:
        line, frame = None, error.__traceback__
        while frame is not None:
            if frame.tb_frame.f_code.co_filename == str(file):
                line = frame.tb_lineno
            frame = frame.tb_next
    if isinstance(error, InvalidInput):
        return _in(file, line, error)
    where = file.name if line is None else f"{file.name} line {line}"
    return InvalidInput(where, f"{type(error).__name__}: {error}", "Python that runs to its end")


def _of_yaml(file: Path) -> tuple[FeatureSet, ...]:
    import yaml

    try:
        node = yaml.compose(_text(file), _plain_loader())
        lines: dict[Place, int] = {}
        document = None if node is None else _value(file, node, (), lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = file.name if mark is None else f"{file.name} line {mark.line + 1}"
        what = getattr(error, "problem", None) or str(error)
        raise InvalidInput(where, what, "YAML") from None
    except (RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(file.name, type(error).__name__, "YAML in UTF-8") from None
    return _of_document(file, document, lines)


def _plain_loader() -> type[yaml.SafeLoader]:
    """A loader for which a plain word is null, true, false, a number, or else a text.

    So a country that is called NO is not false, and 12:30 no number of seconds.
    """
    import yaml

    loader = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})
    for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]{1,300}", list("-+0123456789")),
        ("float", r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ):
        word = re.compile(f"^(?:{pattern})$")
        yaml.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", word, first, loader)
    return loader


def _value(file: Path, node: yaml.Node, place: Place, lines: dict[Place, int]) -> object:
    """A node as a plain value; the line of each place is noted. A key that comes twice is refused.

    Raises InvalidInput.
    """
    line = lines[place] = node.start_mark.line + 1
    if len(lines) > _MOST_VALUES:
        expected = f"at most {_MOST_VALUES:,}, each use of an alias counted"
        raise InvalidInput(f"{file.name} line {line}", "more values", expected)
    kind, value = node.tag.removeprefix("tag:yaml.org,2002:"), node.value
    match node.id, kind:
        case "mapping", "map":
            members: dict[str, object] = {}
            for name, inner in value:
                where = f"{file.name} line {name.start_mark.line + 1}"
                if name.id != "scalar":
                    raise InvalidInput(where, "a key that is no word", "words as keys")
                if name.value in members:
                    raise InvalidInput(where, name.value, "each key once")
                if name.value == "<<":
                    raise InvalidInput(where, name.value, "no merge: the fields written out")
                members[name.value] = _value(file, inner, (*place, name.value), lines)
                lines[*place, name.value] = name.start_mark.line + 1
            return members
        case "sequence", "seq":
            return [_value(file, one, (*place, i), lines) for i, one in enumerate(value)]
        case "scalar", "null":
            return None
        case "scalar", "bool":
            return value.lower() == "true"
        case "scalar", "int":
            return int(value)
        case "scalar", "float":
            return float(value)
        case "scalar", "str":
            return value
        case _:
            raise InvalidInput(f"{file.name} line {line}", node.tag, "no tag")


def _of_json(file: Path) -> tuple[FeatureSet, ...]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        members: dict[str, object] = {}
        for name, value in pairs:
            if name in members:
                raise InvalidInput(file.name, name, "each key once")
            members[name] = value
        return members

    try:
        document = json.loads(_text(file), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{file.name} line {error.lineno}", error.msg, "JSON") from None
    except (RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(file.name, type(error).__name__, "JSON in UTF-8") from None
    except InvalidInput:
        raise
    except ValueError:
        # Python reads no whole number of thousands of digits.
        raise InvalidInput(file.name, "a number of very many digits", "numbers that fit") from None
    return _of_document(file, document, {})


def _text(file: Path) -> str:
    """The text of a document; a mark of its byte order is none of it."""
    size = file.stat().st_size
    if size > _MOST_BYTES:
        expected = f"at most {_MOST_BYTES:,}. Split it: a team may have several files"
        raise InvalidInput(file.name, f"{size:,} bytes", expected)
    return file.read_text("utf-8-sig")


def _of_document(file: Path, document: object, lines: dict[Place, int]) -> tuple[FeatureSet, ...]:
    try:
        return read_document(document)
    except InvalidDefinition as error:
        place = error.place
        while place and place not in lines:
            place = place[:-1]
        raise _in(file, lines.get(place), error) from None


def _in(file: Path, line: int | None, error: InvalidInput) -> InvalidInput:
    """The same refusal, with the file and the line that it is about."""
    where = file.name if line is None else f"{file.name} line {line}"
    field = f"{where}, {error.field}"
    if isinstance(error, InvalidDefinition):
        return InvalidDefinition(error.place, field, error.value, error.expected, error.hint)
    return InvalidInput(field, error.value, error.expected, error.hint)


_READERS: dict[str, Callable[[Path], tuple[FeatureSet, ...]]] = {
    ".py": _of_python,
    ".yaml": _of_yaml,
    ".yml": _of_yaml,
    ".json": _of_json,
}
