"""What a page shows beside what came, and how a page shows it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

ANY = "..."
# Of files and entries: they differ between releases.
_SIZES = {"file_size_bytes", "file_size_mb", "bytes"}
_RUN = re.compile(r"([ ━─-])\1+")
_FRACTION = re.compile(r"\d+\.\d{5,}")


def same_text(expected: str, actual: str) -> bool:
    """Whether an output is as shown: `...` is anything, alone on a line any lines.

    Runs of spaces and of table lines may differ in length. Long fractions are compared to six
    digits: the last ones differ between machines.
    """
    expected, actual = (_RUN.sub(r"\1", _FRACTION.sub(_six_digits, t)) for t in (expected, actual))
    pattern = ""
    for line in expected.rstrip().splitlines():
        if line.strip() == ANY:
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(part) for part in line.rstrip().split(ANY)) + r"\n"
    lines = "".join(f"{line.rstrip()}\n" for line in actual.rstrip().splitlines())
    return re.fullmatch(pattern, lines) is not None


def _six_digits(number: re.Match[str]) -> str:
    return f"{float(number.group()):.6g}"


def same_json(expected: Any, actual: Any) -> bool:
    """Whether a document is as shown; `...` is any value, any further elements or keys."""
    if expected == ANY:
        return True
    if isinstance(expected, dict) and isinstance(actual, dict):
        keys = [key for key in expected if key != ANY]
        if set(keys) - set(actual) or (ANY not in expected and len(keys) < len(actual)):
            return False
        return all(key in _SIZES or same_json(expected[key], actual[key]) for key in keys)
    if isinstance(expected, list) and isinstance(actual, list):
        if expected[-1:] == [ANY]:
            expected = expected[:-1]
            actual = actual[: len(expected)]
        return len(expected) == len(actual) and all(map(same_json, expected, actual))
    if isinstance(expected, str) and isinstance(actual, str):
        return same_text(expected, actual)
    if isinstance(expected, float) and isinstance(actual, float | int):
        return math.isclose(expected, actual, rel_tol=1e-9)
    return type(expected) is type(actual) and expected == actual


@dataclass
class Layout:
    """A JSON document as pages show it: a member a line, small values whole."""

    lines: list[str] = field(default_factory=list)

    def write(self, value: Any, indent: str = "") -> str:
        whole = json.dumps(value, ensure_ascii=False)
        if not isinstance(value, dict | list) or len(indent + whole) < 90:
            return whole
        deeper = indent + "  "
        if isinstance(value, dict):
            inner = [f"{json.dumps(k)}: {self.write(v, deeper)}" for k, v in value.items()]
        else:
            inner = [self.write(one, deeper) for one in value]
        first, last = ("{", "}") if isinstance(value, dict) else ("[", "]")
        return f"{first}\n{deeper}" + f",\n{deeper}".join(inner) + f"\n{indent}{last}"
