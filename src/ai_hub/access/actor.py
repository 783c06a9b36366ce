"""Who does what is being done, as records name them.

It is said once for each request, where the grant of its header is known, and read where a change is
written: so no handler can forget it, and no caller can say another name (decision 0023).
"""

from __future__ import annotations

import getpass
from contextvars import ContextVar
from dataclasses import dataclass

from ai_hub.definitions.values import check_text

LONGEST = 200
"""Characters of a name that records keep."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody: their name, and what tells them from others of it.

    `known`: a server asked for a key, so the name is the key's and not one that they say. Without,
    `id` is the address of who asked over HTTP, and empty for who opened the database.
    """

    who: str
    id: str = ""
    known: bool = False


_acting: ContextVar[Actor | None] = ContextVar("ai_hub_actor", default=None)


def act_as(actor: Actor) -> None:
    """What this task does from here on, somebody else does through it."""
    _acting.set(actor)


def acting() -> Actor:
    """Who does what this task does: by default whom the process runs as."""
    return _acting.get() or Actor(user())


def named(field: str, said: str | None) -> str:
    """The name by which a registry notes somebody: that of their key; without, what they say.

    Records keep what they say either way. Raises InvalidInput naming the field for a name that is
    no text, or too long.
    """
    name = user() if said is None else check_text(field, said, LONGEST)
    actor = acting()
    return actor.who[:LONGEST] if actor.known else name


def user() -> str:
    """Whom this process runs as, as the system knows them."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # nobody that the system knows, as in a container
        return ""
    # In the environment it may be any bytes.
    return name.encode("utf-8", "replace").decode()[:LONGEST]
