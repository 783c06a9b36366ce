"""Commands about drift: whether what is served is still what a model learned on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ai_hub.cli.failure import ALARM
from ai_hub.cli.finding import opened
from ai_hub.cli.options import Json, Model, Url, instant
from ai_hub.cli.output import counted, document, progress, say, table

if TYPE_CHECKING:
    from ai_hub.cli.backend import Document

_Tenant = Annotated[
    str | None,
    typer.Option("--tenant", metavar="ID", help="The tenant; by default the one with data."),
]
_Set = Annotated[
    str | None,
    typer.Option("--set", metavar="NAME", help="The feature set, or a version of it (NAME@2)."),
]
_EFFECTS = {
    "psi": "PSI",
    "wasserstein": "distance",
    "missing": "missing",
    "violations": "outside",
    "time_shift": "shift h",
    "variation": "variation",
}
_SHARES = ("missing", "violations")

commands = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@commands.callback()
def drift(
    context: typer.Context,
    tenant: _Tenant = None,
    feature_set: _Set = None,
    days: Annotated[
        int | None,
        typer.Option("--days", metavar="NUMBER", min=1, max=7, help="The last days: 1 to 7."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="In place of --days: the first time."),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="The end, at most 7 days later; now by default."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="NAME",
            help="served: vectors that were answered; history: those that an export of that time "
            "would have. By default served, where there are any.",
        ),
    ] = None,
    baseline_id: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="ID",
            help="The baseline, by the id of its export; by default the newest one.",
        ),
    ] = None,
    model: Model = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw features before and now to this PNG."),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Compare what is served with what a model learned on.

    Like with like: the same hours of the week, and the same season where the baseline has a year.
    Ends with 4 where a feature drifts. A picture needs the extra `importance`.

    Example: ai-hub drift --set forecast_basic --days 7
    """
    if context.invoked_subcommand is not None:
        return
    from ai_hub.errors import InvalidInput

    if plot is not None:
        from ai_hub.importance.plot import check_plot_path

        check_plot_path(plot)
    if days is not None and start is not None:
        raise InvalidInput("--days", days, "none with --from, which says the first time")
    request = _request(tenant, feature_set, model, start, end)
    if days is not None:
        request |= _last(days, request.get("end_time"))
    given = {"source": source, "baseline_id": baseline_id}
    request |= {key: value for key, value in given.items() if value is not None}
    with progress(f"Comparing {feature_set or model}", quiet=as_json):
        found = _asked(url, lambda backend: backend.drift(request))
    if plot is not None:
        from ai_hub.importance.drift_plot import draw

        draw(found, plot)
    if as_json:
        document(found)
    else:
        _report(found)
        if plot is not None:
            say(f"{plot}: before and now as a picture", "green")
    if found["alarm"]:
        raise typer.Exit(ALARM)


@commands.command()
def baseline(
    tenant: _Tenant = None,
    feature_set: _Set = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="The first time; a year before the end by default."
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="The end; now by default.")
    ] = None,
    model: Model = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Keep what the values of a set were in a time of history.

    Each export keeps such a baseline of its own rows by itself.

    Example: ai-hub drift baseline --tenant acme --set forecast_basic
    """
    request = _request(tenant, feature_set, model, start, end)
    with progress(f"Reading {feature_set or model}", quiet=as_json):
        made = _asked(url, lambda backend: backend.drift_baseline(request))
    if as_json:
        document(made)
        return
    of = f"{made['feature_set']}@{made['version']} of {made['tenant_id']}"
    rows = counted(made["rows"], "row")
    say(f"{of}: baseline {made['baseline_id']} of {rows}, {_between(made)}", "green")


def _request(
    tenant: str | None,
    feature_set: str | None,
    model: str | None,
    start: str | None,
    end: str | None,
) -> Document:
    from ai_hub.errors import InvalidInput

    if feature_set is None and model is None:
        raise InvalidInput("--set", None, "a feature set (or --model MODEL@VERSION)")
    given = {
        "tenant_id": tenant,
        "feature_set": feature_set,
        "model": model,
        "start_time": None if start is None else instant(start, "--from", "up"),
        "end_time": None if end is None else instant(end, "--to"),
    }
    return {key: value for key, value in given.items() if value is not None}


def _last(days: int, end: str | None) -> Document:
    """The last days before an end."""
    import time

    from ai_hub.definitions.values import DAY, iso, parse_time

    last = time.time_ns() // 1_000 if end is None else parse_time(end)
    return {"start_time": iso(last - days * DAY), "end_time": iso(last)}


def _asked(url: str | None, ask: Any) -> Document:
    from ai_hub.config import Settings

    async def work() -> Document:
        async with opened(Settings.load(), url) as backend:
            found: Document = await ask(backend)
            return found

    return asyncio.run(work())


def _report(found: Document) -> None:
    kept = found["baseline"]
    of_what = "an export" if kept["of_export"] else "history"
    say(f"{found['feature_set']}@{found['version']} of {found['tenant_id']}", "bold")
    say(f"Now: {counted(found['rows'], 'row')} of {_SOURCE[found['source']]}, {_between(found)}.")
    say(f"Baseline: {counted(kept['rows'], 'row')} of {of_what}, {_between(kept)}.")
    say(f"{found['reference']}.")
    features = found["features"]
    names = [name for name in _EFFECTS if any(_value(one, name) is not None for one in features)]
    columns = ("feature", "", *(_EFFECTS[name] for name in names))
    table(
        columns,
        [
            (one["name"], "drifts" if one["alarm"] else "", *(_cell(one, name) for name in names))
            for one in features
        ],
    )
    drifting = [one for one in features if one["alarm"]]
    for one in drifting:
        say(f"{one['name']}: {one['sentence']}", "red")
    if not drifting and found["enough"]:
        say("Nothing drifts.", "green")


_SOURCE = {"served": "vectors that were served", "history": "history"}


def _value(one: Document, name: str) -> float | None:
    value: float | None = one["effects"][name]["value"]
    return value


def _cell(one: Document, name: str) -> str:
    """An effect as the table shows it; a star where it is beyond its threshold."""
    value = _value(one, name)
    if value is None:
        return "-"
    shown = f"{100 * value:+.1f} %" if name in _SHARES else f"{round(value, 2) + 0.0:.2f}"
    return f"{shown} *" if one["effects"][name]["alarm"] else shown


def _between(one: Document) -> str:
    return f"{one['start_time']} to {one['end_time']}"
