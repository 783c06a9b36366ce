"""Room for bodies: how much memory they may take together, and who waits for some of it.

What a body takes is known by its size, before it is read: 8 times that and 100 MB, which
`intake/bodies.py` holds. So one of the largest size may be read and parsed at a time, or several
smaller ones; others wait for a moment, unread, and are then asked to come again. Bodies of up to a
mebibyte have a room of their own, and little ones need none. Large spines wait for their turn to be
computed unread but for one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial

from ai_hub.allocation import give_back
from ai_hub.errors import AiHubError, Busy

LITTLE = 64 * 1024
"""Bytes of a body that needs no room."""
_SMALL = 1024 * 1024
_SMALL_TOGETHER = 64 * _SMALL
_TIMES = 8
_MORE = 100_000_000
_PARSERS = 2
_MOST_SECONDS = 5.0
_MOST_WAITING = 64
_TIDY_SECONDS = 0.5
_SPINES = 2


class Room:
    """So many bytes, given in the order in which they were asked for.

    Nobody waits for longer than `seconds` (None: for as long as it takes), nor behind more than
    `queue` others. `hurry` is called when somebody begins to.
    """

    def __init__(
        self,
        most: int,
        seconds: float | None = _MOST_SECONDS,
        hurry: Callable[[], None] = lambda: None,
        queue: int = _MOST_WAITING,
        why: str = "body: others are being read that take as much memory as there is for them",
    ) -> None:
        self.left = most
        """Bytes that nobody has."""
        self._seconds = seconds
        self._hurry = hurry
        self._queue = queue
        self._why = why
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def crowded(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    async def take(self, count: int) -> None:
        """Wait for so many bytes, and have them. Raises Busy."""
        if count <= self.left and not self._waiting:
            self.left -= count
            return
        if len(self._waiting) >= self._queue:
            raise Busy(self._why)
        self._hurry()
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            async with asyncio.timeout(self._seconds):
                await turn
        except BaseException as error:
            # Its turn may have come in the same moment.
            self.give(0 if turn.cancelled() else count)
            if isinstance(error, TimeoutError):
                raise Busy(self._why) from None
            raise

    def give(self, count: int) -> None:
        """Give so many bytes back."""
        self.left += count
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            count, turn = self._waiting[0]
            if not turn.done():
                if count > self.left:
                    break
                self.left -= count
                turn.set_result(None)
            self._waiting.popleft()


def needs(size: int) -> int:
    """What a request may take in all whose body is of so many bytes."""
    return _TIMES * size + _MORE


class TooSlow(AiHubError):
    """A body that others could not wait for any longer."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"body: it had not arrived after {seconds:g} s (AI_HUB_BODY_TIMEOUT), and others wait "
            "for the memory that is kept for it. Send it in several parts."
        )


class Rooms:
    """The rooms of a server whose largest body is of `most` bytes.

    What a table of few bytes decodes to may be large: it is parsed in the turn of what it says. A
    body that is given room may take longer than `patience` (s) to arrive while nobody waits. Behind
    large spines at most `queue` others wait.
    """

    def __init__(self, most: int, patience: float = 30, queue: int = _MOST_WAITING) -> None:
        self._patience = patience
        self._arriving: dict[asyncio.Timeout, tuple[float, Share]] = {}
        self._middle, self._heavy = asyncio.Semaphore(_PARSERS), asyncio.Semaphore(1)
        self.packed = asyncio.Semaphore(_PARSERS)
        """The turn of small bodies that may say much, until it is known how much."""
        self.small = Room(_SMALL_TOGETHER, hurry=self._hurry)
        self.large = Room(needs(most), hurry=self._hurry)
        self.spines = Room(
            _SPINES, None, partial(self._hurry, spines=True), queue,
            f"spine: {queue} wait for their turn already (AI_HUB_EXPORT_QUEUE)",
        )  # fmt: skip
        """Places of large spines: of one that is computed, and one that arrives meanwhile."""
        self._tidying: asyncio.Task[None] | None = None

    def tidy(self) -> None:
        """Much memory was let go of, or will be in a moment: it goes back to the system."""
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(_tidied())

    @asynccontextmanager
    async def arriving(self, share: Share) -> AsyncIterator[None]:
        """While a body arrives in parts. Raises TooSlow where others wait too long for that."""
        until = asyncio.get_running_loop().time() + self._patience
        waited_for = share.placed and self.spines.crowded
        limit = asyncio.timeout_at(until if waited_for else None)
        try:
            async with limit:
                self._arriving[limit] = until, share
                yield
        except TimeoutError:
            raise TooSlow(self._patience) from None
        finally:
            self._arriving.pop(limit, None)

    def _hurry(self, spines: bool = False) -> None:
        for limit, (until, share) in self._arriving.items():
            if limit.when() is None and (share.placed or not spines):
                limit.reschedule(until)

    def parser(self, size: int) -> AbstractAsyncContextManager[None]:
        """The turn in which a table of so many bytes is parsed; little ones wait for nobody."""
        if size <= LITTLE:
            return nullcontext()
        return self._middle if size <= _SMALL else self._heavy


async def _tidied() -> None:
    await asyncio.sleep(_TIDY_SECONDS)
    await asyncio.to_thread(give_back)


class Share:
    """What one request has of a room; of a `spine` it has a place too, where that is large."""

    __slots__ = ("_count", "_room", "_rooms", "_spine", "placed")

    def __init__(self, rooms: Rooms, spine: bool = False) -> None:
        self._rooms = rooms
        self._spine = spine
        self._room: Room | None = None
        self._count = 0
        self.placed = False
        """Whether it has a place of a large spine."""

    @property
    def large(self) -> bool:
        """Whether it is of the room of large bodies."""
        return self._room is self._rooms.large

    async def take(self, size: int) -> None:
        """Have room for a body of so many bytes, instead of what there was. Raises Busy."""
        self.end()
        if size > LITTLE:
            small = size <= _SMALL
            if self._spine and not small:
                await self._rooms.spines.take(1)
                self.placed = True
            room = self._rooms.small if small else self._rooms.large
            count = size if small else needs(size)
            await room.take(count)
            self._room, self._count = room, count

    async def grow(self, size: int, most: int) -> None:
        """Have room for a body of which so many bytes came, and of which nobody knows the end."""
        if self._room is None and size > LITTLE:
            await self.take(min(most, _SMALL))
        if self._room is self._rooms.small and size > _SMALL:
            await self.take(most)

    async def have(self, count: int) -> None:
        """Have so many bytes of the room of large bodies, instead of what there was. Raises Busy.

        What there was is kept while it waits.
        """
        large = self._rooms.large
        more = count - self._count if self.large else count
        if more > 0:
            await large.take(more)
        else:
            large.give(-more)
        if not self.large:
            self.end()
        self._room, self._count = large, count

    def fit(self, size: int) -> None:
        """Give back what a body of so many bytes does not need."""
        if self._room is not None:
            count = needs(size) if self._room is self._rooms.large else size
            self._room.give(self._count - count)
            self._count = count

    def end(self) -> None:
        """Give it back."""
        if self.large:
            self._rooms.tidy()
        if self.placed:
            self.placed = False
            self._rooms.spines.give(1)
        room, self._room = self._room, None
        if room is not None:
            room.give(self._count)
