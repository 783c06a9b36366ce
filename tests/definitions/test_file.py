from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ai_hub.definitions.file import load_file
from ai_hub.errors import InvalidInput

PYTHON = """
from ai_hub import Derived, FeatureSet, Lag, Rolling

later = FeatureSet("b", version=2, features=["hour_of_day"], owner="grid-team")
first = same = FeatureSet("a", 1, [Rolling("avg_48h", "mean", "48h"), Lag("lag_2h", "2h"),
                                   Derived("ratio", "lag_2h / avg_48h")])
"""
YAML = """\
# yaml-language-server: $schema=feature-sets.schema.json
schema: 1
feature_sets:
  - name: b
    version: 2
    owner: grid-team
    features: [hour_of_day]
  - name: a
    version: 1
    features:
      - {kind: Rolling, name: avg_48h, stat: mean, window: 48h}
      - kind: Lag
        name: lag_2h
        by: 2h
      - {kind: Derived, name: ratio, expression: lag_2h / avg_48h}
"""
JSON = """
{"feature_sets": [
 {"name": "b", "version": 2, "owner": "grid-team", "features": ["hour_of_day"]},
 {"name": "a", "version": 1, "features": [
  {"kind": "Rolling", "name": "avg_48h", "stat": "mean", "window": "48h"},
  {"kind": "Lag", "name": "lag_2h", "by": "2h"},
  {"kind": "Derived", "name": "ratio", "expression": "lag_2h / avg_48h"}]}
]}
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def refusal(folder: Path, name: str, text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        load_file(written(folder, name, text))
    return str(caught.value)


def test_every_form_says_the_same(tmp_path: Path) -> None:
    texts = {"f.py": PYTHON, "f.yaml": YAML, "f.yml": YAML, "f.JSON": JSON}
    read = [load_file(written(tmp_path, name, text)) for name, text in texts.items()]
    assert [one.label for one in read[0]] == ["b@2", "a@1"]
    assert read[0][0].owner == "grid-team"
    assert read == [read[0]] * 4


def test_a_python_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "beside_features.py", "HOURS = '3h'")
    text = (
        "from beside_features import HOURS\nfrom ai_hub import FeatureSet, Lag\n"
        "one = FeatureSet('one', 1, [Lag('lag', HOURS)])\n"
    )
    before = list(sys.path)
    try:
        (one,) = load_file(written(tmp_path, "features.py", text))
    finally:
        sys.modules.pop("beside_features", None)
    assert str(one.features[0].by) == "3h"  # type: ignore[union-attr]
    assert sys.path == before


def test_sets_may_stand_in_lists_tuples_and_dicts(tmp_path: Path) -> None:
    text = (
        "from ai_hub import FeatureSet\n"
        "def one(name): return FeatureSet(name, 1, ['month'])\n"
        "first = one('a')\n"
        "more = [first, one('b'), (one('c'), 5)]\n"
        "more.append(more)\n"
        "by_name = {'d': one('d'), 'e': [one('e')], 'f': 'no set'}\n"
    )
    found = load_file(written(tmp_path, "features.py", text))
    assert [one.name for one in found] == [*"abcde"]


def test_who_stops_a_python_file_stops_the_command(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_file(written(tmp_path, "features.py", "raise KeyboardInterrupt\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1\n", "features.py: got 'no feature set', expected a FeatureSet that a name of the"),
        (
            "class Own(BaseException): pass\nraise Own('x')\n",
            "features.py line 2: got 'Own: x', expected Python that runs to its end",
        ),
        ("\nx = lagg\n", "features.py line 2: got \"NameError: name 'lagg' is not defined\", exp"),
        ("x = (\n", "features.py line 1: got \"SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit(3)\n", "features.py line 2: got 'SystemExit: 3', expected Python"),
        (
            "from ai_hub import Lag\n\ndef f():\n    return Lag('a', '2x')\nf()\n",
            "features.py line 4, by: got '2x', expected a width such as",
        ),
        (
            "from ai_hub import FeatureSet\na = FeatureSet(None, None, ['month'])\n",
            "features.py: got 'a set without a name', expected sets with name and version",
        ),
        (
            "from ai_hub import FeatureSet\na, b = (FeatureSet('a', 1, [n]) for n in ('month', "
            "'hour_of_day'))\n",
            "features.py, a@1.version: got 1, expected each version of a set once",
        ),
    ],
)
def test_a_python_file_is_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    assert refusal(tmp_path, "features.py", text).startswith(said)


@pytest.mark.parametrize(
    ("changed", "into", "said"),
    [
        ("by: 2h", "by: 2x", "f.yaml line 14, a@1.lag_2h.by: got '2x', expected a width"),
        ("by: 2h", "by: 2h\n        by: 3h", "f.yaml line 15: got 'by', expected each key once"),
        ("stat: mean", "stat: NO", "f.yaml line 11, a@1.avg_48h.stat: got 'NO', expected one"),
        ("window: 48h", "window: 12:30", "f.yaml line 11, a@1.avg_48h.window: got '12:30'"),
        ("by: 2h", "bye: 2h", "f.yaml line 14, a@1.lag_2h.bye: got '2h', expected a field of Lag"),
        ("name: lag_2h", "", "f.yaml line 12, a@1.features[1].name: got None, expected a value"),
        ("version: 1", "version: 1.5", "f.yaml line 9, a.version: got 1.5, expected a whole"),
        ("[hour_of_day]", "[hour_of_dy]", "f.yaml line 7, b@2.features: got 'hour_of_dy', exp"),
        ("schema: 1", "schema: 9", "f.yaml line 2, schema: got 9, expected 1. A newer release"),
        ("[hour_of_day]", "[hour_of_day", "f.yaml line 8: got \"expected ',' or ']', but"),
        ("by: 2h", "by: !!python/none 2h", "f.yaml line 14: got 'tag:yaml.org,2002:python/none'"),
        (
            "- {kind: Rolling, ",
            "- {<<: 5, ",
            "f.yaml line 11: got '<<', expected no merge: the fie",
        ),
        (
            "version: 1",
            f"version: {10**40}",
            "f.yaml line 9, a.version: got 1000000000000000000000",
        ),
        ("by: 2h", "by: &x [*x]", "f.yaml: got 'RecursionError', expected YAML in UTF-8"),
    ],
)
def test_yaml_is_refused_with_the_line(tmp_path: Path, changed: str, into: str, said: str) -> None:
    assert changed in YAML
    assert refusal(tmp_path, "f.yaml", YAML.replace(changed, into)).startswith(said)


def test_json_is_refused(tmp_path: Path) -> None:
    def refused(changed: str, into: str) -> str:
        return refusal(tmp_path, "f.json", JSON.replace(changed, into))

    assert refused('"2h"', '"2x"').startswith("f.json, a@1.lag_2h.by: got '2x', expected a width")
    assert refused('"by": "2h"', '"by": "2h", "by": "3h"').startswith("f.json: got 'by', expected")
    assert refused("]}\n]}", "]}\n]").startswith("f.json line 9: got \"Expecting ',' delimiter")

    assert refused('"version": 2', '"version": ' + "9" * 5_000) == (
        "f.json: got 'a number of very many digits', expected numbers that fit"
    )


def test_a_mark_of_the_byte_order_is_no_text(tmp_path: Path) -> None:
    marked = [written(tmp_path, f"f.{form}", "\ufeff" + text) for form, text in
              (("yaml", YAML), ("json", JSON))]  # fmt: skip
    assert load_file(marked[0]) == load_file(marked[1])


def test_what_is_too_large_is_refused_in_time(tmp_path: Path) -> None:
    features = "".join(
        f"      - {{kind: Lag, name: lag_{i}, by: {i}h}}\n" for i in range(1, 60_000)
    )
    assert refusal(tmp_path, "f.yaml", YAML + features) == (
        f"f.yaml: got '{len(YAML + features):,} bytes', expected at most 2,000,000. Split it: a "
        "team may have several files"
    )
    # Ten times the one before, nine times over.
    bomb = "a0: &a0 [1, 2]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
    )
    assert refusal(tmp_path, "f.yaml", bomb) == (
        "f.yaml line 1: got 'more values', expected at most 200,000, each use of an alias counted"
    )


def test_other_files_are_none(tmp_path: Path) -> None:
    assert refusal(tmp_path, "f.toml", "").startswith(
        "definitions file: got 'f.toml', expected a file named .py, .yaml, .yml or .json"
    )
    assert refusal(tmp_path, "f.yaml", "").startswith("f.yaml, document: got None, expected a doc")
    for name in ("none.py", "none.yaml", "none.json"):
        with pytest.raises(FileNotFoundError):
            load_file(tmp_path / name)
        (tmp_path / name).mkdir()
        with pytest.raises(IsADirectoryError):
            load_file(tmp_path / name)
