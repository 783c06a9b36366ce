"""Commands about the server and its settings: `serve`, `demo` and `config`."""

from __future__ import annotations

from typing import Annotated

import typer

from ai_hub.cli.failure import Stop
from ai_hub.cli.finding import lacks_file, tell_created
from ai_hub.cli.options import Json
from ai_hub.cli.output import document, table, tell

Host = Annotated[
    str | None,
    typer.Option("--host", metavar="ADDRESS", help="The address to listen on (AI_HUB_HOST)."),
]
Port = Annotated[
    int | None, typer.Option("--port", metavar="PORT", help="The port to listen on (AI_HUB_PORT).")
]


def serve(
    host: Host = None,
    port: Port = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            help="How many processes serve (AI_HUB_WORKERS); several need PostgreSQL and Redis.",
        ),
    ] = None,
    maintain: Annotated[
        str | None,
        typer.Option(
            "--maintain",
            metavar="WIDTH",
            help="Also maintain the PostgreSQL database, such as every 15m.",
        ),
    ] = None,
    warm_ahead: Annotated[
        bool,
        typer.Option(
            "--warm-ahead",
            help="Have what was asked for in a step ready before the next (AI_HUB_WARM_AHEAD).",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Serve features over HTTP until Ctrl-C.

    By default on this machine only (127.0.0.1), on port 8003. The log goes to standard output, with
    --json to standard error.

    Example: ai-hub serve --port 9000
    """
    from ai_hub.config import Settings
    from ai_hub.definitions.values import Duration
    from ai_hub.http import serve as run

    settings = Settings.load(host=host, port=port, workers=workers, warm_ahead=warm_ahead or None)
    is_new = lacks_file(settings)
    every = None if maintain is None else Duration.of(maintain, "--maintain")
    if every is not None and not settings.on_server:
        raise Stop(
            f"--maintain: {settings.database_name} is an embedded database, which needs no "
            "maintenance. It is for a database on PostgreSQL (AI_HUB_DATABASE_URL)."
        )
    url = f"http://{settings.host}:{settings.port}"
    name = settings.database_name

    def ready() -> None:
        if is_new:
            tell_created(settings)
        if as_json:
            document({"url": url, "database": name})
        what = "a database in memory" if name == ":memory:" else name
        tell(f"Serving {what} on {url} (API: {url}/docs). Ctrl-C stops.")

    # With --json standard output is for the document.
    run(settings, ready, log_to_stderr=as_json, maintain=every)


def demo(
    database: Annotated[
        str, typer.Option("--database", metavar="URL", help="The database that the demo fills.")
    ] = "duckdb:///demo.duckdb",
    port: Port = None,
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="Stop when the data and the training set are there.")
    ] = False,
    meters: Annotated[int, typer.Option(min=1, max=10_000, help="How many meters.")] = 50,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How many days of readings.")] = 365,
    as_json: Json = False,
) -> None:
    """Try it all out on generated data.

    A year of hourly load of some meters and the weather of their stations, a training set, a first
    feature vector, and a server to ask. The data goes into a database of
    its own, demo.duckdb; running the demo again is safe.

    Example: ai-hub demo --meters 10 --days 90
    """
    from ai_hub.config import Settings
    from ai_hub.demo import tour

    settings = Settings.load(database_url=database, port=port)
    tour.run(settings, meters, days, serving=not no_serve, as_json=as_json)


def config(as_json: Json = False) -> None:
    """Print every setting, its value and its source.

    Settings come from AI_HUB_... variables, else from ai-hub.toml (or the file that AI_HUB_CONFIG
    names), else they have a default.

    Example: AI_HUB_PORT=9000 ai-hub config
    """
    from ai_hub.config import KEYS, Settings, variable

    shown = Settings.load().shown()
    if as_json:
        document({name: {"value": value, "source": source} for name, value, source in shown})
        return
    rows = [
        (name, value, source, f"{KEYS[name].help} ({variable(name)})")
        for name, value, source in shown
    ]
    table(("setting", "value", "source", "what it is"), rows)
