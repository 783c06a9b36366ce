"""What was asked to be explained, what is known of it, and the commands that would change it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from ai_hub.config_values import width_text
from ai_hub.definitions.values import DEFAULT_SERIES, Duration, Granularity, iso
from ai_hub.engines.sql_views import quoted
from ai_hub.engines.views import Fault
from ai_hub.stores.attributes import TIMEZONE, value_at
from ai_hub.stores.evidence import AssetRecord
from ai_hub.stores.weather_sources import source_at


@dataclass(frozen=True, slots=True)
class Asked:
    """Features of an asset as of `at`: those that are named, or (None) all that are answered.

    `chosen` are the options of a command that ask for the same answer, `on_server` says whether the
    database is one on a server.
    """

    tenant_id: str
    asset_id: str
    at: int
    chosen: tuple[str, ...]
    granularity: Granularity
    names: tuple[str, ...] | None = None
    on_server: bool = False

    def get(self, asset_id: str | None = None, at: int | None = None) -> str:
        """Ask for the same of another asset, or at another time."""
        return self._command(
            ("get",), "--asset", asset_id or self.asset_id, *self.chosen,
            "--at", iso(self.at if at is None else at),
        )  # fmt: skip

    def ingest(self, series: str, *options: str) -> str:
        """Load readings of a series."""
        of = () if series == DEFAULT_SERIES else ("--feature-type", series)
        return self._command(("ingest", "FILE"), *of, *options)

    def ingest_weather(self) -> str:
        """Load weather."""
        return self._command(("ingest-weather", "FILE"))

    def map_to(self, station: str, always: bool) -> str:
        """Have the asset read the weather of a station: always, or from the time asked for on."""
        since = () if always else ("--valid-from", iso(self.at))
        return self._command(
            ("weather-source",), "--source", station, "--asset", self.asset_id, *since
        )

    def set_attribute(self, key: str, value: str, always: bool) -> str:
        """Say what an attribute of the asset is: always, or from the time asked for on."""
        since = () if always else ("--valid-from", iso(self.at))
        return self._command(("assets", "set", self.asset_id, f"{key}={value}"), *since)

    def make_view(self, view: str) -> str:
        """Make a view of the user's own; what it says is theirs."""
        text = f"CREATE OR REPLACE VIEW {quoted(view)} AS ..."
        if self.on_server:
            return f'psql "$AI_HUB_DATABASE_URL" -c {shlex.quote(text)}'
        return shlex.join(("ai-hub", "sql", text))

    def later(self, instant: int) -> int:
        """The first time that can be asked for and is not before an instant."""
        return -self.granularity.truncate(-instant)

    def _command(self, words: tuple[str, ...], *options: str) -> str:
        return shlex.join(("ai-hub", *words, "--tenant", self.tenant_id, *options))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the asset beside the rows that its features read.

    `near` are the names nearest to its own, if nothing is stored of it; `stations` are those with
    weather in the last day. `faults` say why views have no value. `now` is the clock's time.
    """

    record: AssetRecord
    now: int
    near: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    faults: Mapping[str, Fault] = field(default_factory=dict)

    def zone(self, t: int) -> str | None:
        """The zone that the asset's attribute names at an instant."""
        found = value_at(self.record.attributes.get(TIMEZONE, ()), t)
        return found if isinstance(found, str) else None

    def source(self, asset_id: str, t: int) -> str:
        """Whose weather the asset reads at an instant."""
        return source_at(asset_id, self.record.mappings, t)

    def deleted_before(self, relation: str) -> int | None:
        """Before when rows of a relation were deleted, as far as it is known."""
        kept = self.record.kept.get(relation)
        return None if kept is None else kept.deleted_before

    def has_lost_unusable(self, instant: int) -> bool:
        """Whether it is not known any more which readings of an instant had a quality below 1."""
        kept = self.record.kept.get("timeseries_data")
        return kept is not None and kept.keep is not None and instant < self.now - kept.keep

    def kept_for(self, relation: str) -> str:
        """How long a relation keeps its rows, as settings write it."""
        kept = self.record.kept[relation].keep
        return width_text(None if kept is None else Duration(kept))
