"""Whose features a batch may have changed: a few, and very many."""

from __future__ import annotations

import pyarrow as pa
import pytest

from ai_hub.definitions.values import Entity
from ai_hub.stores.touched import pairs_of, tenants_of, touched


def batch(assets: int) -> pa.Table:
    names = [f"a{n % assets}" for n in range(assets + 5)]
    return pa.table({"tenant_id": ["t"] * len(names), "asset_id": names})


def test_of_a_few_there_is_a_set() -> None:
    other = Entity("t", "b")
    assert touched(pairs_of(batch(2)), {other}) == {Entity("t", "a0"), Entity("t", "a1"), other}


def test_very_many_are_named_as_often_as_they_are_asked_for() -> None:
    other = Entity("t", "b")
    many = touched(pairs_of(batch(20_000)), [other])
    expected = {Entity("t", f"a{n}") for n in range(20_000)} | {other}
    assert len(many) == 20_001
    for _ in range(2):
        named = list(many)
        assert len(named) == 20_001
        assert set(named) == expected
    assert other in many
    assert Entity("u", "b") not in many


@pytest.mark.parametrize("shuffled", [False, True])
def test_each_pair_is_there_once_in_whatever_order(shuffled: bool) -> None:
    named = [(f"t{n % 3}", f"a{n // 2:06}") for n in range(30_000)]
    rows = named * 2 if shuffled else sorted(named * 2)
    tenants, assets = zip(*rows, strict=True)
    both = pa.table({"tenant_id": tenants, "asset_id": assets})
    pairs = pairs_of(pa.concat_tables([both.slice(0, 777), both.slice(777)])).to_pydict()
    assert sorted(zip(pairs["tenant_id"], pairs["asset_id"], strict=True)) == sorted(named)


def test_tenants_are_told_without_entities() -> None:
    other = Entity("u", "b")
    assert tenants_of(touched(pairs_of(batch(20_000)), [other])) == {"t", "u"}
    assert tenants_of(touched(pairs_of(batch(2)), [other])) == {"t", "u"}
    assert tenants_of(frozenset()) == frozenset()
