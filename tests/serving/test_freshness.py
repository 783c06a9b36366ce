"""Whatever becomes of a writer, servers answer what was acknowledged, and never go back."""

from __future__ import annotations

import pytest

from serving.freshness import FAULTS, Fault, drive

pytestmark = [pytest.mark.redis, pytest.mark.postgresql]
ALWAYS = FAULTS[1:2]


@pytest.mark.parametrize(
    "fault",
    [pytest.param(one, marks=() if one in ALWAYS else pytest.mark.long) for one in FAULTS],
    ids=str,
)
async def test_answers_reflect_what_was_acknowledged(fault: Fault) -> None:
    seen = await drive(fault)
    assert seen.answers > 100
    assert seen.hits > 0
    assert seen.ingests >= 8
    if not fault.bound:
        assert (seen.stale, seen.back) == (0, 0)
    assert seen.late <= fault.bound
