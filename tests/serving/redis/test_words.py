"""What counts of the values that Redis gives: those under the token that their entity has now."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ai_hub.serving.redis import words

RUNS = (words.run_of("this"), words.run_of("earlier"))
TOKENS = tuple(b"%b-%016x" % (run, n) for run in RUNS for n in range(2))
# After a drop by prefix a token has another end, and the values under it stay.
RENEWED = tuple(b"%b-%016x" % (token, 7) for token in TOKENS)
VECTOR = b'{"features":{"n":1}}'

tokens = st.sampled_from((*TOKENS, *RENEWED))
kept = st.one_of(st.none(), st.just(b""), st.just(VECTOR), tokens)


@given(st.lists(st.tuples(kept, st.one_of(st.none(), tokens)), max_size=6))
def test_a_value_counts_under_its_entitys_token_of_this_run_alone(
    pairs: list[tuple[bytes | None, bytes | None]],
) -> None:
    values = [
        words.stamped(VECTOR, under) if under in (*TOKENS, *RENEWED) else under
        for under, _ in pairs
    ]
    expected = [
        VECTOR
        if token is not None
        and under in (*TOKENS, *RENEWED)
        and under[: len(TOKENS[0])] == token[: len(TOKENS[0])]
        and token.startswith(RUNS[0])
        else None
        for under, token in pairs
    ]
    given_tokens = [token for _, token in pairs]
    assert words.found(values, given_tokens, RUNS[0]) == expected
    for value, token, one in zip(values, given_tokens, expected, strict=True):
        assert words.unstamped(value, token, RUNS[0]) == one


def test_a_batch_with_one_hit_of_an_earlier_run_has_none() -> None:
    earlier = TOKENS[-1]
    assert words.found([words.stamped(VECTOR, earlier), None], [earlier, None], RUNS[0]) == [
        None,
        None,
    ]
