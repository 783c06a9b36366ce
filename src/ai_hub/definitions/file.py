"""A definitions file: the feature sets of a `features.py`, or of a document in YAML or JSON.

`plan` and `apply` load it, where they are called, and nothing else does: what goes on to a server
is the document.
"""

from __future__ import annotations

import json
import re
import runpy
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from ai_hub.definitions.document import Place, read_document, unique
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.errors import InvalidDefinition, InvalidInput

if TYPE_CHECKING:
    import yaml

_ENDINGS = "a file named .py, .yaml, .yml or .json"


def load_file(path: str | Path) -> tuple[FeatureSet, ...]:
    """The feature sets of a file, in its order.

    A Python file is run, and its sets are those that names of the module stand for. Raises
    InvalidInput, which names the line where there is one, and OSError.
    """
    file = Path(path)
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InvalidInput("definitions file", file.name, _ENDINGS)
    return reader(file)


def _of_python(file: Path) -> tuple[FeatureSet, ...]:
    file.stat()  # What runpy says of a file that is not there is of an importer.
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        # What it prints is not what the command answers.
        with redirect_stdout(sys.stderr):
            names = runpy.run_path(str(file))
    except (Exception, SystemExit) as error:
        raise _fault(file, error) from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    sets = {id(one): one for one in names.values() if isinstance(one, FeatureSet)}
    if not sets:
        raise InvalidInput(file.name, "no feature set", "a FeatureSet that a name stands for")
    for one in sets.values():
        if one.name is None:
            raise InvalidInput(file.name, "a set without a name", "sets with name and version")
    try:
        return unique(sets.values())
    except InvalidDefinition as error:
        raise _in(file, None, error) from None


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
        node = yaml.compose(file.read_text("utf-8"), _plain_loader())
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
        ("int", r"[-+]?[0-9]{1,18}", list("-+0123456789")),
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
        document = json.loads(file.read_text("utf-8"), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{file.name} line {error.lineno}", error.msg, "JSON") from None
    except (RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(file.name, type(error).__name__, "JSON in UTF-8") from None
    return _of_document(file, document, {})


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
