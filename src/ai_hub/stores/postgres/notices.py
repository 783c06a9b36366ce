"""What a process tells others of its writes, as texts that NOTIFY takes.

`["WRITER ID MARKED", [["tenant", "asset"], ...]]`; null for the list is any entity, and MARKED is
left out where no shared cache was told before the commit.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from ai_hub.definitions.values import Entity
from ai_hub.stores.base import Change

_PAYLOAD = 7_900
"""Bytes of a payload: PostgreSQL takes less than 8,000."""
_MOST_PAYLOADS = 200


class Notice(NamedTuple):
    """A text, and the id in it."""

    id: str
    text: str


def notices(by: str, entities: Iterable[Entity], marked: str = "") -> list[Notice]:
    """Notices that name the entities; one that names none means all of them."""
    found = list(islice(_notices(by, entities, marked), _MOST_PAYLOADS + 1))
    return found if len(found) <= _MOST_PAYLOADS else [notice_of_all(by, marked)]


def notice_of_all(by: str, marked: str = "") -> Notice:
    """A notice that any entity may have changed."""
    return _notice(by, marked, None)


def heard(text: str) -> tuple[str, Change]:
    """Who tells of a change, and the change."""
    said, named = json.loads(text)
    # Releases before this one give the writer alone.
    by, _, rest = str(said).partition(" ")
    change_id, _, marked = rest.partition(" ")
    entities = None if named is None else tuple(Entity(*pair) for pair in named)
    return by, Change(change_id, entities, marked)


def is_by(writer: str, text: str) -> bool:
    """Whether a text tells of a change by this writer, if it is of this release."""
    return text.startswith(f'["{writer} ')


def changes_of(texts: Sequence[str]) -> list[Change]:
    """The changes that texts tell of."""
    return [heard(text)[1] for text in texts]


def _notices(by: str, entities: Iterable[Entity], marked: str) -> Iterator[Notice]:
    # In ASCII: a character is a byte, and any encoding of a database takes it.
    head = len(_notice(by, marked, []).text)
    named: list[str] = []
    size = head
    for entity in entities:
        pair = f"[{json.dumps(entity.tenant_id)}, {json.dumps(entity.asset_id)}]"
        length = len(pair) + 2
        if named and size + length > _PAYLOAD:
            yield _notice(by, marked, named)
            named, size = [], head
        named.append(pair)
        size += length
    if named:
        yield _notice(by, marked, named)


def _notice(by: str, marked: str, named: list[str] | None) -> Notice:
    """Of entities that are JSON already, or any."""
    change_id = secrets.token_hex(8)
    said = json.dumps(f"{by} {change_id} {marked}".rstrip())
    entities = "null" if named is None else f"[{', '.join(named)}]"
    return Notice(change_id, f"[{said}, {entities}]")
