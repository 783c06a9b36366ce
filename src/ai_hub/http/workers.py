"""Several processes that serve on one port, and the one that watches over them.

Each worker listens on a socket of its own; the kernel shares new connections out among them, and
none is left waiting for a worker that is gone. A worker that ends is replaced, and one that hangs
is ended: its event loop writes the time each second, and the supervisor looks at it. None is ended
because of how much it did.
"""

from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Protocol

from ai_hub import logs
from ai_hub.config import Settings
from ai_hub.definitions.values import Duration
from ai_hub.errors import AiHubError, ConfigError, StoreUnavailable
from ai_hub.http.application import Application
from ai_hub.http.drifting import watched
from ai_hub.http.server import (
    CLOSING_SECONDS,
    DRAIN_SECONDS,
    ENDING,
    answer,
    bound,
    opened,
    run,
)
from ai_hub.http.upkeep import maintained
from ai_hub.http.watch import Siblings, Watch

_log = logging.getLogger(__name__)

_FIRST_PAUSE, _LAST_PAUSE = 0.1, 5.0
_BEAT_SECONDS = 1.0
_LOOK_SECONDS = 2.0
_HANGS_SECONDS = 10.0
"""After how long without a beat a worker is ended: its clients wait for nothing."""
_STARTS_SECONDS = 60.0
"""The same for the first beat: on a machine that is overloaded, importing takes long."""
_END_SECONDS = DRAIN_SECONDS + CLOSING_SECONDS + 5
"""How long a worker may take to end."""


def check(settings: Settings) -> None:
    """Raise ConfigError where several workers would not be one service."""
    wanted = f"workers: got {settings.workers}, expected 1 with"
    if not settings.on_server:
        raise ConfigError(
            f"{wanted} the embedded database {settings.database_name}, whose file one process "
            "owns. Several need PostgreSQL (AI_HUB_DATABASE_URL) and Redis (AI_HUB_CACHE_URL)."
        )
    if not settings.cache_shared:
        raise ConfigError(
            f"{wanted} the cache {settings.cache_url}: after an ingest through one worker, others "
            "could still give older answers. Several need Redis (AI_HUB_CACHE_URL)."
        )


def supervise(
    settings: Settings,
    ready: Callable[[], None] | None,
    log_to_stderr: bool,
    maintain: Duration | None,
) -> None:
    """Run the workers until a signal of ENDING, which is a KeyboardInterrupt if it was SIGINT, and
    end when they have ended.

    `ready` is called once all of them listen; one of them maintains, if that is asked for. Raises
    ConfigError, and what keeps the first workers from starting.
    """
    check(settings)
    with (
        closing(_reserved(settings)),
        tempfile.TemporaryDirectory(prefix="ai-hub-") as folder,
        _signals() as asked,
    ):
        supervisor = _Supervisor(settings, Path(folder), log_to_stderr, maintain)
        try:
            supervisor.run(ready, asked)
        finally:
            supervisor.stop(asked)
    if asked.first == signal.SIGINT:
        raise KeyboardInterrupt


def _reserved(settings: Settings) -> socket.socket:
    """The port, held for the workers. Raises ConfigError for one that is in use."""
    # Not shared at first: a shared socket could be bound beside those of another server.
    with closing(bound(settings)) as alone:
        family, address = alone.family, alone.getsockname()
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    # It does not listen, so the kernel gives it no connection.
    held.bind(address)
    return held


class _Signals:
    """How often somebody asked for the end; `wakes` becomes readable with each signal."""

    def __init__(self, wakes: socket.socket) -> None:
        self.count = 0
        self.first = 0
        """The number of the first; 0 before."""
        self.wakes = wakes

    def came(self, number: int, frame: object) -> None:
        self.count += 1
        self.first = self.first or number


@contextmanager
def _signals() -> Iterator[_Signals]:
    wakes, writes = socket.socketpair()
    wakes.setblocking(False)
    writes.setblocking(False)
    asked = _Signals(wakes)
    before = {
        one: signal.signal(one, asked.came)
        for one in ENDING
        if signal.getsignal(one) is not signal.SIG_IGN
    }
    old = signal.set_wakeup_fd(writes.fileno(), warn_on_full_buffer=False)
    try:
        yield asked
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        wakes.close()
        writes.close()


class Beat(Protocol):
    """When a worker's event loop last ran, on the clock that processes share; 0.0 before."""

    value: float


class _Worker:
    """A process in its place among the others."""

    def __init__(self, process: SpawnProcess, told: Connection, beat: Beat) -> None:
        self.process = process
        self.told = told
        self.serves = False
        self._beat = beat
        self._started = time.monotonic()

    def hangs(self, now: float) -> bool:
        """Whether its event loop has been standing still for too long."""
        beat = self._beat.value
        if beat:
            return now - beat > _HANGS_SECONDS
        return now - self._started > _STARTS_SECONDS


class _Supervisor:
    def __init__(
        self, settings: Settings, folder: Path, log_to_stderr: bool, maintain: Duration | None
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._log_to_stderr = log_to_stderr
        self._maintain = maintain
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Worker] = {}
        self._due = dict.fromkeys(range(settings.workers), 0.0)
        self._pause = dict.fromkeys(range(settings.workers), _FIRST_PAUSE)

    def run(self, ready: Callable[[], None] | None, asked: _Signals) -> None:
        """Start workers, and others for those that end, until it is asked to end."""
        all_served = False
        while not asked.count:
            now = time.monotonic()
            for slot in [slot for slot, due in self._due.items() if due <= now]:
                del self._due[slot]
                self._start(slot)
            next_one = min(self._due.values(), default=math.inf)
            self._wait(max(0.0, min(next_one - now, _LOOK_SECONDS)), asked)
            # A supervisor that stood still itself cannot tell yet who else did.
            if time.monotonic() - now < 2 * _LOOK_SECONDS:
                self._end_hanging()
            for slot, worker in list(self._workers.items()):
                error = self._look(slot, worker)
                if error is not None and not all_served:
                    raise error
            if not all_served and len(self._serving()) == self._settings.workers:
                all_served = True
                if ready is not None:
                    ready()

    def stop(self, asked: _Signals) -> None:
        """Let every worker answer what is under way and end; at once if asked a second time."""
        for worker in self._workers.values():
            worker.process.terminate()
        until = time.monotonic() + _END_SECONDS
        while self._workers:
            left = until - time.monotonic()
            if left <= 0 or asked.count > 1:
                break
            self._wait(left, asked)
            for slot, worker in list(self._workers.items()):
                if not worker.process.is_alive():
                    del self._workers[slot]
        for worker in self._workers.values():
            _log.warning("worker killed", extra={"pid": worker.process.pid})
            worker.process.kill()
            worker.process.join()

    def _end_hanging(self) -> None:
        now = time.monotonic()
        for slot, worker in self._workers.items():
            if worker.hangs(now):
                _log.error("worker hangs", extra={"worker": slot, "pid": worker.process.pid})
                worker.process.kill()
                worker.process.join()

    def _serving(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if worker.serves]

    def _start(self, slot: int) -> None:
        told, tells = self._context.Pipe(duplex=False)
        beat = self._context.RawValue("d", 0.0)
        process = self._context.Process(
            target=work,
            args=(
                self._settings,
                slot,
                self._folder,
                tells,
                beat,
                self._log_to_stderr,
                self._maintain if slot == 0 else None,
            ),
            name=f"ai-hub worker {slot}",
        )
        process.start()
        tells.close()
        self._workers[slot] = _Worker(process, told, beat)

    def _wait(self, seconds: float | None, asked: _Signals) -> None:
        """Until a worker says something or ends, a signal comes or the time is over."""
        for_what: list[Any] = [asked.wakes]
        for worker in self._workers.values():
            for_what += [worker.process.sentinel, *([] if worker.told.closed else [worker.told])]
        if asked.wakes in wait(for_what, seconds):
            with suppress(BlockingIOError):
                asked.wakes.recv(64)

    def _look(self, slot: int, worker: _Worker) -> AiHubError | None:
        """Take note of what a worker says, or that it ended; why, if it never served."""
        why, transient = "", False
        while not worker.told.closed and worker.told.poll():
            try:
                word, text = worker.told.recv()
            except EOFError:
                worker.told.close()
                break
            if word == "serves":
                worker.serves = True
                self._pause[slot] = _FIRST_PAUSE
            else:
                why, transient = text, word == "away"
        if worker.process.is_alive() and not why:
            return None
        worker.process.join(_END_SECONDS)
        worker.process.kill()
        worker.process.join()
        del self._workers[slot]
        pause = 0.0 if worker.serves else self._pause[slot]
        self._pause[slot] = min(_LAST_PAUSE, 2 * self._pause[slot])
        self._due[slot] = time.monotonic() + pause
        code = worker.process.exitcode
        told = {"worker": slot, "pid": worker.process.pid, "exit_code": code}
        _log.warning("worker ended", extra=told | ({"error": why} if why else {}))
        if not why:
            return AiHubError(f"A worker ended before it served (exit code {code}); see the log.")
        return StoreUnavailable(why) if transient else AiHubError(why)


def work(
    settings: Settings,
    slot: int,
    folder: Path,
    tells: Connection,
    beat: Beat,
    log_to_stderr: bool,
    maintain: Duration | None,
) -> None:
    """The life of a worker process."""
    # What a terminal sends reaches every process; the supervisor says what it means.
    for number in ENDING:
        if number != signal.SIGTERM:
            signal.signal(number, signal.SIG_IGN)
    logs.configure(settings.log_level, sys.stderr if log_to_stderr else sys.stdout)
    try:
        run(_work(settings, slot, folder, tells, beat, maintain))
    except AiHubError as error:
        tells.send(("away" if isinstance(error, StoreUnavailable) else "refused", str(error)))
        raise SystemExit(1) from None


async def _work(
    settings: Settings,
    slot: int,
    folder: Path,
    tells: Connection,
    beat: Beat,
    maintain: Duration | None,
) -> int:
    beating = asyncio.create_task(_beat(beat))
    # One block inside the other: what lands while the store closes is published too.
    async with (
        AsyncExitStack() as last,
        opened(settings) as store,
        maintained(settings, maintain),
        watched(store, settings.drift_check if slot == 0 else None),
    ):
        siblings = Siblings(folder, slot, store)
        last.push_async_callback(siblings.publish_last)
        publishing = asyncio.create_task(siblings.keep_publishing())
        with closing(bound(settings, shared=True)) as listener:
            try:
                return await answer(
                    Application(store, Watch(store, siblings.total)),
                    listener,
                    lambda: tells.send(("serves", "")),
                    (signal.SIGTERM,),
                    _when_orphaned,
                )
            finally:
                publishing.cancel()
                beating.cancel()


async def _beat(beat: Beat) -> None:
    """Show that the event loop runs, until cancelled."""
    while True:
        beat.value = time.monotonic()
        await asyncio.sleep(_BEAT_SECONDS)


def _when_orphaned(stop: Callable[[], None]) -> None:
    """Call `stop` when the supervisor is gone without a word."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    loop = asyncio.get_running_loop()
    sentinel = parent.sentinel

    def gone() -> None:
        loop.remove_reader(sentinel)
        _log.warning("supervisor gone", extra={"pid": os.getpid()})
        stop()

    loop.add_reader(sentinel, gone)
