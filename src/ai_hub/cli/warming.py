"""The command that has vectors computed before they are asked for: `warm`."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ai_hub.cli.failure import BAD_INPUT, Stop
from ai_hub.cli.finding import server_of
from ai_hub.cli.options import Json, OneSet, ServerUrl, Tenant
from ai_hub.cli.output import counted, document, nothing, progress, say, tell
from ai_hub.errors import NoDatabase, ServerUnreachable

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document
    from ai_hub.cli.remote import RemoteBackend
    from ai_hub.config import Settings
    from ai_hub.definitions.values import Duration

_PART = 200
"""Assets of one request."""
_AGAIN_SECONDS = 2.0
"""When to try again after a round that failed."""


def warm(
    tenant: Tenant,
    asset: Annotated[
        list[str] | None,
        typer.Option(
            "--asset",
            metavar="ID",
            help="An asset, repeatable; by default all that were seen in the last day.",
        ),
    ] = None,
    feature_set: OneSet = None,
    every: Annotated[
        bool,
        typer.Option("--every", help="Repeat at the start of each granularity step, until Ctrl-C."),
    ] = False,
    ahead: Annotated[
        str | None,
        typer.Option(
            "--ahead",
            metavar="WIDTH",
            help="With --every: warm each step so long before it starts, such as 10s.",
        ),
    ] = None,
    concurrency: Annotated[
        int,
        typer.Option("--concurrency", min=1, max=64, help=f"Requests of {_PART} assets at a time."),
    ] = 4,
    url: ServerUrl = None,
    as_json: Json = False,
) -> None:
    """Have the server compute vectors in advance.

    They are those of the current granularity step. With --every and --ahead, current vectors are
    always ready when they are asked for.

    Example: ai-hub warm --tenant acme --set forecast_basic --every --ahead 10s
    """
    from ai_hub.config import Settings
    from ai_hub.definitions.values import Duration

    settings = Settings.load()
    before = None if ahead is None else Duration.of(ahead, "--ahead")
    if before is not None and not every:
        raise Stop("--ahead: it is for --every, which warms one step after the other.", BAD_INPUT)
    request: Document = {"tenant_id": tenant}
    if feature_set is not None:
        request["feature_set"] = feature_set

    async def once(server: RemoteBackend, at: int | None = None) -> int:
        found = await _round(server, request, asset, at, concurrency, as_json)
        if as_json:
            document(found)
        else:
            say(
                f"{counted(found['warmed'], 'vector')} of {counted(found['assets'], 'asset')} are "
                f"cached, {found['computed']:,} of them computed now."
            )
        return int(found["assets"])

    async def work() -> int:
        if every:
            return await _rounds(settings, url, once, before)
        async with server_of(settings, url) as server:
            return await once(server)

    if not asyncio.run(work()):
        nothing(f"No asset of {tenant} was seen in the last day.")


async def _round(
    server: RemoteBackend,
    request: Document,
    assets: list[str] | None,
    at: int | None,
    concurrency: int,
    quiet: bool,
) -> Document:
    """Warm every asset once, as of `at` (None: as of now); the counts of all requests."""
    from ai_hub.definitions.values import iso

    ids = list(dict.fromkeys(assets or await server.seen_assets(request["tenant_id"])))
    moment = {} if at is None else {"timestamp": iso(at)}
    total = {"assets": 0, "warmed": 0, "computed": 0}
    room = asyncio.Semaphore(concurrency)

    async def part(some: list[str]) -> None:
        async with room:
            found = await server.warm({**request, **moment, "asset_ids": some})
        for name in total:
            total[name] += found[name]
        show(total["assets"] / len(ids), total["warmed"])

    with progress("warming", quiet, "vectors") as show:
        parts = range(0, len(ids), _PART)
        asking = [asyncio.create_task(part(ids[first : first + _PART])) for first in parts]
        try:
            await asyncio.gather(*asking)
        finally:
            # Where one failed, none of the others outlives the connection.
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
    return total


async def _rounds(
    settings: Settings,
    url: str | None,
    once: Callable[[RemoteBackend, int], Awaitable[int]],
    ahead: Duration | None,
) -> NoReturn:
    """A round at once and for each step, until cancelled; failures are told.

    Without `ahead` it is at the start of the step. With it there are two before: one so early, or
    up to half as much earlier, and one shortly before for what was ingested since.
    """
    from ai_hub.definitions.values import SECOND, Granularity

    early = 0 if ahead is None else ahead.micros
    warmed = 0
    while True:
        try:
            async with server_of(settings, url) as server:
                step = Granularity.of(await server.granularity())
                if not 2 * early < step.step.micros:
                    raise Stop(
                        f"--ahead: got {ahead}, expected less than half of the server's step of "
                        f"{step.step}.",
                        BAD_INPUT,
                    )
                at = step.truncate(_now()) + (step.step.micros if warmed else 0) * bool(early)
                await once(server, at)
                last = at - min(early // 2, SECOND)
                if early and warmed and _now() < last:
                    await asyncio.sleep((last - _now()) / SECOND)
                    await once(server, at)
        except (NoDatabase, ServerUnreachable, Stop) as error:
            if isinstance(error, Stop) and error.code == BAD_INPUT:
                raise
            tell(str(error), "red")
            await asyncio.sleep(_AGAIN_SECONDS)
            continue
        warmed = at
        following = at + step.step.micros
        left = following - round(random.uniform(1.0, 1.5) * early) - _now()
        if following < _now():
            tell(f"That took longer than a step of {step.step}.", "yellow")
        await asyncio.sleep(max(0, left) / SECOND)


def _now() -> int:
    return time.time_ns() // 1_000
