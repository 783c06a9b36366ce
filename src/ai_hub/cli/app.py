"""The Typer application: every command, and the one border at which errors become sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from ai_hub import __version__
from ai_hub.cli import (
    archiving,
    assets,
    audit,
    database,
    definitions,
    doctor,
    drift,
    explaining,
    exports,
    importance,
    ingest,
    keys,
    models,
    plot,
    profile,
    removal,
    retention,
    rollouts,
    server,
    sql,
    top,
    upkeep,
    vectors,
    warming,
)
from ai_hub.cli.failure import Stop, ending
from ai_hub.cli.output import tell
from ai_hub.cli.reading import Command, with_options, without_options
from ai_hub.errors import AiHubError

if TYPE_CHECKING:
    from ai_hub.intake.batch import BatchKind


_READERS: Mapping[str, tuple[Command, BatchKind]] = {
    "ingest": (ingest.ingest, "observations"),
    "ingest-weather": (ingest.ingest_weather, "weather"),
    "ingest-attributes": (ingest.ingest_attributes, "attributes"),
}
_PLAIN: Mapping[str, Any] = {
    # Plain help: drawing it with Rich would double the time of `--help`.
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "context_settings": {"help_option_names": ["-h", "--help"], "max_content_width": 100},
}


class Commands(TyperGroup):
    """The commands in the order of a first visit; what they raise is told in a sentence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._complete: dict[str, Any] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the table below."""
        return [name for name, _ in _COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command; those that read files get their options when they are asked for."""
        reader = _READERS.get(cmd_name)
        if reader is None:
            return super().get_command(ctx, cmd_name)
        if cmd_name not in self._complete:
            single = typer.Typer(add_completion=False, **_PLAIN)
            single.command(cmd_name)(with_options(*reader))
            self._complete[cmd_name] = typer.main.get_command(single)
        return self._complete[cmd_name]

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error of ours becomes one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (Stop, AiHubError, OSError, KeyboardInterrupt) as error:
            end = ending(error)
            if end is None:
                raise
            tell(f"ai-hub: {end}", style="red")
            raise typer.Exit(end.code) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Readings in, the same feature vectors out for serving and for training.",
    epilog="Start with: ai-hub demo",
    **_PLAIN,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ai-hub {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


_COMMANDS: tuple[tuple[str, Callable[..., None] | typer.Typer], ...] = (
    ("demo", server.demo),
    ("serve", server.serve),
    ("migrate", database.migrate),
    ("adopt", database.adopt),
    ("grant-tenant", database.grant_tenant),
    ("maintain", upkeep.maintain),
    ("status", upkeep.status),
    ("top", top.top),
    ("doctor", doctor.doctor),
    ("retention", retention.commands),
    ("sql", sql.sql),
    ("ingest", without_options(ingest.ingest)),
    ("ingest-weather", without_options(ingest.ingest_weather)),
    ("weather-source", ingest.weather_source),
    ("ingest-attributes", without_options(ingest.ingest_attributes)),
    ("assets", assets.commands),
    ("get", vectors.get),
    ("explain", explaining.explain),
    ("plot", plot.plot),
    ("export", exports.export),
    ("exports", exports.commands),
    ("plan", definitions.plan),
    ("apply", definitions.apply),
    ("sets", definitions.commands),
    ("models", models.commands),
    ("rollout", rollouts.commands),
    ("profile", profile.profile),
    ("importance", importance.importance),
    ("drift", drift.commands),
    ("keys", keys.commands),
    ("audit", audit.audit),
    ("delete", removal.delete),
    ("archive", archiving.archive),
    ("archives", archiving.archives),
    ("unarchive", archiving.unarchive),
    ("warm", warming.warm),
    ("invalidate", vectors.invalidate),
    ("config", server.config),
)
for _name, _command in _COMMANDS:
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name)
    else:
        app.command(_name)(_command)
