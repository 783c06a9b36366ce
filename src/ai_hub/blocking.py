"""Asynchronous classes as blocking ones: each call waits for its answer in a loop of its own.

The loop runs in a thread beside the caller's, so that it works where a loop runs already, as in a
notebook.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

_ENDING_SECONDS = 10.0
"""How long an interrupted call may take to let go of what it has."""
_OWN = {"__aenter__", "__aexit__", "close"}


class _Asynchronous(Protocol):
    async def __aenter__(self) -> Any: ...
    async def close(self) -> None: ...


class Loop:
    """An event loop in a thread of its own, begun with the first call."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = 0

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives in the loop, in the context of the caller.

        Whoever is interrupted (Ctrl-C) ends it first, so that nothing goes on behind their back.
        """
        # What takes long to import is needed only here.
        from concurrent.futures import Future

        loop = self._running()
        result: Future[T] = Future()
        tasks: list[asyncio.Task[None]] = []

        async def hand_over() -> None:
            try:
                found = await work()
            except BaseException as error:  # noqa: BLE001  # the caller raises it
                result.set_exception(error)
            else:
                result.set_result(found)

        def end() -> None:
            for task in tasks:
                task.cancel()
            if not tasks:  # the interrupt came before it began
                result.cancel()

        try:
            # The context is copied here, in the thread that asks.
            loop.call_soon_threadsafe(lambda: tasks.append(loop.create_task(hand_over())))
            return result.result()
        finally:
            if not result.done():
                loop.call_soon_threadsafe(end)
                with suppress(BaseException):
                    result.exception(_ENDING_SECONDS)

    def stop(self) -> None:
        """End the thread, once what it does has ended."""
        if self._loop is not None and self._process == os.getpid():
            self._loop.call_soon_threadsafe(self._loop.stop)
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join()
        self._loop = self._thread = None

    def _running(self) -> asyncio.AbstractEventLoop:
        import asyncio

        if self._loop is None or self._thread is None:
            self._loop, self._process = asyncio.new_event_loop(), os.getpid()
            self._thread = threading.Thread(
                target=_serve, args=(self._loop,), name="ai-hub-loop", daemon=True
            )
            self._thread.start()
        elif self._process != os.getpid():
            raise RuntimeError("it was opened before this process was forked: open one in here")
        elif self._thread is threading.current_thread():
            raise RuntimeError(
                "a call from within another one, such as from `progress`, would wait for itself"
            )
        return self._loop


class Blocking:
    """What every blocking class has: it opens with the first call or `with`, until it is closed."""

    _made_by: type[Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        self._begin(self._made_by(*args, **options))

    def _begin(self, asynchronous: _Asynchronous) -> None:
        self._asynchronous: Any = asynchronous
        self._loop = Loop()
        self._opened: bool | None = None
        """None before it is opened for the first time, False once it is closed."""
        self._opening = threading.Lock()
        weakref.finalize(self, self._loop.stop)

    def __enter__(self) -> Any:
        """Open it, also once more."""
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        """What is public of the asynchronous one and no method, such as its settings."""
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._asynchronous, name)

    def close(self) -> None:
        """Finish what is under way, then let go of everything; also what `with` ends with."""
        with self._opening:
            was_open, self._opened = self._opened, False
            try:
                if was_open:
                    self._loop.run(self._asynchronous.close)
            finally:
                self._loop.stop()

    def _open(self) -> None:
        with self._opening:
            if not self._opened:
                self._loop.run(self._asynchronous.__aenter__)
                self._opened = True

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._opened is None:
            self._open()
        try:
            return self._loop.run(work)
        finally:
            if not self._opened:  # closed: it said so, and nothing of it stays
                self._loop.stop()


def blocking(asynchronous: type[Any], module: str, name: str | None = None) -> type[Any]:
    """An asynchronous class as a blocking one, with each of its public methods and properties.

    Its types are in the stub of `module`, which is made of the same source.
    """
    members: dict[str, Any] = {
        "__module__": module,
        "__doc__": blocking_doc(asynchronous),
        "_made_by": asynchronous,
    }
    for called, member in inspect.getmembers_static(asynchronous):
        if called.startswith("_") or called in _OWN:
            continue
        if isinstance(member, classmethod):
            members[called] = classmethod(_maker(member.__func__))
        elif isinstance(member, property):
            members[called] = property(_reader(called), doc=member.__doc__)
        elif inspect.isfunction(member):
            members[called] = _method(member)
    return type(name or asynchronous.__name__, (Blocking,), members)


def blocking_doc(asynchronous: type[Any]) -> str:
    """What is said of an asynchronous class, as it is true of the blocking one."""
    return (inspect.getdoc(asynchronous) or "").replace("async with", "with")


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(self: Blocking, *args: Any, **options: Any) -> Any:
        return self._call(_awaited(function, self._asynchronous, *args, **options))

    return call


def _maker(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of a class method that makes one."""

    @functools.wraps(function)
    def make(cls: type[Blocking], *args: Any, **options: Any) -> Blocking:
        made = cls.__new__(cls)
        made._begin(function(cls._made_by, *args, **options))
        return made

    return make


def _reader(name: str) -> Callable[[Blocking], Any]:
    def read(self: Blocking) -> Any:
        return self._call(_awaited(getattr, self._asynchronous, name))

    return read


def _awaited(
    function: Callable[..., Any], *args: Any, **options: Any
) -> Callable[[], Coroutine[Any, Any, Any]]:
    """A call in the loop, of what waits and of what does not."""

    async def call() -> Any:
        found = function(*args, **options)
        return await found if inspect.isawaitable(found) else found

    return call


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio

    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        # Nothing is left but what a store does on the side, where nobody closed it.
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        with suppress(RuntimeError):  # at the end of the interpreter no thread begins any more
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
