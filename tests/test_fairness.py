"""Long work in pieces: one of them in a round of the loop, whoever does it."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from ai_hub.fairness import others_first


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=20))
async def test_one_piece_in_a_round_and_everybody_in_turn(workers: list[tuple[int, bool]]) -> None:
    now = 0
    rounds: list[int] = []
    done: list[int] = []

    async def work(place: int, pieces: int) -> None:
        for _ in range(pieces):
            await others_first()
            rounds.append(now)
            done.append(place)

    async def count() -> None:
        nonlocal now
        while True:
            await asyncio.sleep(0)
            now += 1

    counting = asyncio.create_task(count())
    tasks = [asyncio.create_task(work(place, n)) for place, (n, _) in enumerate(workers)]
    await asyncio.sleep(0)
    left = {place for place, (_, leaves) in enumerate(workers) if leaves}
    for place in left:
        tasks[place].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    counting.cancel()
    assert len(rounds) == len({*rounds})
    stayed = {place: n for place, (n, _) in enumerate(workers) if place not in left}
    assert {place: done.count(place) for place in {*done}} == stayed
    # Nobody has a second piece before everybody had a first one.
    assert done[: len(stayed)] == sorted(stayed)
