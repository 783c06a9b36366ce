"""The drawings of docs/kinds are those that the reference gives, and every kind has its page."""

from __future__ import annotations

from typing import get_args

import pytest

from ai_hub.definitions.kinds import Feature
from docs_drawings import FOLDER, SCENES


@pytest.mark.parametrize("name", sorted(SCENES))
def test_a_drawing_is_what_the_reference_reads(name: str) -> None:
    scene = SCENES[name]()
    assert any(mark.read for mark in scene.marks)
    assert not all(mark.read for mark in scene.marks)
    drawn = (FOLDER / f"{name}.svg").read_text("utf-8")
    assert drawn == scene.svg(), "python tests/docs_drawings.py draws it anew"


def test_every_kind_has_its_page_and_its_drawing() -> None:
    names = {kind.__name__.lower() for kind in get_args(Feature)}
    assert names == set(SCENES)
    for name in names:
        page = (FOLDER / f"{name}.md").read_text("utf-8")
        assert f"]({name}.svg)" in page, name
