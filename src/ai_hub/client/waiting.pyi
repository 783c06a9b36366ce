# Made by `python tests/stubs.py` of the asynchronous class: change that.
from ai_hub.client.registry import ServerPlan
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.target import Horizon
from ai_hub.definitions.values import Duration
from ai_hub.definitions.values import Time
from ai_hub.definitions.vocabulary import Missing
from ai_hub.definitions.vocabulary import WeatherColumn
from ai_hub.doctor.line import Line
from ai_hub.export.history import History
from ai_hub.export.training_set import TrainingSet
from ai_hub.intake.read_options import AttributeKeywords
from ai_hub.intake.read_options import ObservationKeywords
from ai_hub.intake.read_options import WeatherKeywords
from ai_hub.intake.result import IngestResult
from ai_hub.serving.answer import Answer
from ai_hub.serving.answer import Features
from ai_hub.serving.cache import CacheStats
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from os import PathLike
from typing import Any
from typing import Unpack

class Client:
    """A server of feature vectors, with the methods, answers and errors of the store.

    Use it as `with AsyncClient("http://127.0.0.1:8003") as client:`. By default it asks that
    address, with the key of AI_HUB_API_KEY. `timeout` bounds an answer in seconds, `work_timeout`
    one that takes long (an export, rows that land); for `patience` seconds a request that failed
    is sent again, where that cannot do twice what was asked once. Raises ServerUnreachable where
    nobody answers, and ServerFailed."""

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout: float = 10.0,
        work_timeout: float | None = 600.0,
        patience: float = 30.0,
    ) -> None: ...

    def get(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> Answer:
        """The features of an asset as of a time (now, when none is given)."""

    def get_batch(
        self,
        *,
        tenant_id: str,
        asset_ids: Sequence[str],
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> dict[str, Answer]:
        """The answers for up to 1,000 assets by id, in one request. They do not say when they were
        computed; where a set rejects values, an answer has an `error` instead."""

    def get_features(
        self,
        tenant_id: str,
        asset_id: str,
        timestamp: Time | None = None,
        feature_names: Sequence[str] | None = None,
        feature_set: str | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> Features:
        """Feature name to value, every built-in feature or those named: a dict that also has
        `missing`, `degraded`, `violations`, `timestamp` and `policy`."""

    def compute_feature_set(
        self,
        tenant_id: str,
        asset_id: str,
        feature_set_name: str,
        timestamp: Time | None = None,
        missing: Missing | None = None,
    ) -> Features:
        """Feature name to value, for a feature set; see `get_features`."""

    def get_batch_features(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        feature_set_name: str | None = None,
        timestamp: Time | None = None,
        feature_names: Sequence[str] | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> dict[str, Features]:
        """Asset to (feature name to value), for up to 1,000 assets in one read; see `get_batch`."""

    def explain(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        model: str | None = None,
    ) -> dict[str, Any]:
        """What `get` answers to the same request, with each feature explained, as plain values."""

    def warm_feature_cache(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None = None,
        feature_set: str | None = None,
        timestamp: Time | None = None,
    ) -> dict[str, int]:
        """Have the vectors of some assets ready: of a set, or of every registered one."""

    def invalidate_feature_cache(
        self,
        tenant_id: str,
        asset_id: str | None = None,
        asset_ids: Iterable[str] = (),
        feature_set: str | None = None,
    ) -> dict[str, int]:
        """Forget the cached vectors of some assets, of one set or all; counts what was dropped."""

    def cache_stats(
        self,
    ) -> CacheStats:
        """What the cache holds and how it did."""

    def ingest(
        self,
        data: object,
        tenant_id: str | None = None,
        **options: Unpack[ObservationKeywords],
    ) -> IngestResult:
        """Land observations: pandas, Polars or Arrow tables, dict rows, or the path of a file here.

        They are read and checked here, with the same options, and sent 100,000 rows at a time, each
        batch whole or not at all. What is sent again is stored once, and counts as `unchanged`."""

    def ingest_bulk(
        self,
        path: str | PathLike[str],
        tenant_id: str | None = None,
        *,
        bookmark: str | PathLike[str] | None = None,
        **options: Unpack[ObservationKeywords],
    ) -> IngestResult:
        """Land years of observations from a file here, as `ingest` does, sorted by series.

        How far it came is kept in the file `bookmark` (by default the path with .bookmark) until
        all landed: who calls it again goes on there."""

    def ingest_weather(
        self,
        data: object,
        tenant_id: str | None = None,
        **options: Unpack[WeatherKeywords],
    ) -> IngestResult:
        """Land weather rows of assets or stations, as `ingest` does observations."""

    def ingest_attributes(
        self,
        data: object,
        tenant_id: str | None = None,
        **options: Unpack[AttributeKeywords],
    ) -> IngestResult:
        """Land what assets have besides, as `ingest` does observations.

        Rows without `valid_from` hold from when they arrive: those are not sent again where it is
        unknown whether they did."""

    def assign_weather_source(
        self,
        *,
        tenant_id: str,
        source_id: str | None,
        asset_ids: Sequence[str],
        valid_from: Time | None = None,
    ) -> int:
        """Let assets take their weather from a source (a station), or (None) from their own rows.

        How many assets that was a change for. Without `valid_from` it is not sent again."""

    def delete(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None = None,
        *,
        series: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        weather: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Remove data of a tenant, or of some of its assets, for ever; or count what would go."""

    def archive(
        self,
        before: Time,
        to: str,
        tenant_id: str | None = None,
        *,
        drop: bool = False,
    ) -> dict[str, Any]:
        """Seal the days (UTC) that end at or before a time, of a tenant or of all: as Parquet below
        a folder in that of the server's exports, or a URL that it allows.

        Gives the `steps`. What takes longer than `work_timeout` is stopped with that, and goes on
        where it is asked for again."""

    def unarchive(
        self,
        *,
        lost: str | None = None,
    ) -> dict[str, Any]:
        """Bring archived rows back, and end the archive; with `lost`, a reason, what is in its
        files alone is given up. Gives the `steps`."""

    def archives(
        self,
        tenant_id: str | None = None,
    ) -> dict[str, Any]:
        """The layers of a tenant's archive, or of all, by age, and until when rows are dropped."""

    def tenants(
        self,
        *,
        limit: int = 1000,
    ) -> list[str]:
        """The tenants that have data, sorted; those of the key, where it is for some."""

    def freshness(
        self,
        tenant_id: str,
        limit: int = 50,
    ) -> dict[str, Any]:
        """How new a tenant's data is: how many `assets` have readings, how many of them one of
        `today` (in UTC), of `yesterday`, of the `week` before now and today, and none since
        (`older`); and the `stalest`, as `assets` lists them: those whose newest reading is the
        oldest."""

    def seen_assets(
        self,
        tenant_id: str,
    ) -> list[str]:
        """The assets with a usable observation in the last day, sorted."""

    def assets(
        self,
        tenant_id: str,
        since: Time | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
        search: str | None = None,
    ) -> dict[str, Any]:
        """A page of a tenant's `assets`, sorted by id, and after which one (`next`) there are more.

        Each with its series, the station whose weather it reads, and its attributes; with `search`,
        those with that text in their id."""

    def asset(
        self,
        tenant_id: str,
        asset_id: str,
    ) -> dict[str, Any]:
        """What is known of an asset, as in a page of `assets`. Raises NotFound."""

    def audit(
        self,
        tenant_id: str | None = None,
        *,
        what: str | None = None,
        who: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """A page of audit `records`, the newest first, and before which id (`next`) there are more;
        of the tenants of the key."""

    def doctor(
        self,
        tenant_id: str | None = None,
    ) -> list[Line]:
        """What is wrong with database, data, cache, exports, clocks and settings, and what mends
        it: the `state` of each line is "ok", "warning" or "fault"."""

    def status(
        self,
        exact: bool = False,
    ) -> dict[str, Any]:
        """What the database is like: sizes, series, policies, as `ai-hub status --json` prints it.

        `exact` counts the rows of each series, which takes long on PostgreSQL."""

    def ready(
        self,
    ) -> dict[str, Mapping[str, str]]:
        """How database, cache and exports are now, each in a word (`state`) and a sentence
        (`detail`)."""

    def chart(
        self,
        tenant_id: str,
        asset_id: str,
        start_time: Time,
        end_time: Time,
        *,
        feature_set: str,
        feature: str | None = None,
        weather: WeatherColumn | None = None,
        points: int = 800,
    ) -> dict[str, Any]:
        """The readings of an asset over [start_time, end_time] (of the set's series), thinned, one
        of the set's features and a column of weather, as plain values for a chart; times are
        seconds since 1970."""

    def history(
        self,
        tenant_id: str,
        asset_ids: Sequence[str],
        start_time: Time,
        end_time: Time,
        *,
        series: Sequence[str] | None = None,
        feature_set: str | None = None,
        features: Sequence[str] | None = None,
        weather: bool | Sequence[str] = False,
        missing: Missing | None = None,
        indicators: bool = False,
        frequency: str | None = None,
        limit: int = 1000000,
        model: str | None = None,
    ) -> History:
        """Series, features and weather of some assets over [start_time, end_time], as a frame.

        At most a million rows, and as many bytes as the server takes in a body."""

    def export_features_to_parquet(
        self,
        tenant_id: str,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        output_path: str | None = None,
        asset_ids: Sequence[str] | None = None,
        *,
        missing: Missing | None = None,
        compression: str = 'snappy',
        horizons: Sequence[Horizon] = (),
        indicators: bool = False,
        frequency: str | None = None,
        model: str | None = None,
        parts: bool = False,
        partition_by: str | Sequence[str] | None = None,
        buckets: int | None = None,
        format: str = 'parquet',
        wait_seconds: float | None = None,
    ) -> dict[str, Any]:
        """Write a feature set over [start_time, end_time] to a Parquet file of the server; the
        export's record once it has ended, or after `wait_seconds`.

        `output_path` is relative to the tenant's folder there, or a URL that the server allows. It
        is not sent again where it is unknown whether it arrived: `exports` says what there is.
        Raises ExportFailed."""

    def wait_for_export(
        self,
        export_id: str,
        wait_seconds: float | None = None,
    ) -> dict[str, Any]:
        """The record of an export once it has ended, or after so many seconds; the job goes on.

        Raises UnknownExport, and ExportFailed."""

    def cancel_export(
        self,
        export_id: str,
    ) -> dict[str, Any]:
        """End an export that is under way; its record, `cancelled` as soon as it has stopped. One
        that has ended stays as it is."""

    def resume_export(
        self,
        export_id: str,
    ) -> dict[str, Any]:
        """Go on with an export that waits for a process, failed or was cancelled; its record
        (`wait_for_export`)."""

    def get_training_set(
        self,
        spine: object,
        feature_set: str | None = None,
        *,
        tenant_id: str,
        horizons: Sequence[Horizon] = (),
        missing: Missing | None = None,
        indicators: bool = False,
        model: str | None = None,
    ) -> TrainingSet:
        """The rows of a table of entities and times, each with its features as of its time.

        `spine`: pandas, Polars or Arrow tables, or dict rows, with asset_id, aware timestamp and
        any labels. As many rows come back, in their order, labels and times as they came."""

    def exports(
        self,
        tenant_id: str | Collection[str] | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Recorded exports of a tenant, or of all of the key, the newest first, up to 10,000."""

    def export_record(
        self,
        export_id: str,
    ) -> dict[str, Any]:
        """One recorded export."""

    def drift(
        self,
        tenant_id: str | None = None,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        source: str | None = None,
        baseline_id: str | None = None,
        model: str | None = None,
    ) -> dict[str, Any]:
        """How far a set's values over at most seven days (by default the last ones) are from a
        baseline, feature by feature, as plain values: the newest one, or that of an export."""

    def drift_baseline(
        self,
        tenant_id: str | None = None,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        model: str | None = None,
    ) -> dict[str, Any]:
        """Keep what the values of a set were in a time of history; the baseline as plain values."""

    def listed(
        self,
    ) -> list[dict[str, Any]]:
        """Every version, retired ones too, as `described` gives it; by name and version."""

    def described(
        self,
        feature_set: str,
    ) -> dict[str, Any]:
        """A version (a retired one too) as plain values, with its state in the registry."""

    def plan(
        self,
        feature_sets: Iterable[FeatureSet],
    ) -> ServerPlan:
        """What `apply` would change, and what looks wrong; nothing is changed."""

    def apply(
        self,
        feature_sets: Iterable[FeatureSet],
        applied_by: str | None = None,
    ) -> ServerPlan:
        """Have every process of the server's database serve these feature sets, all or none."""

    def retire(
        self,
        feature_set: str,
    ) -> None:
        """Serve a version (`name@version`) no more."""

    def set_default(
        self,
        feature_set: str,
    ) -> None:
        """Let a name alone mean this version (`name@version`)."""

    def models(
        self,
    ) -> list[dict[str, Any]]:
        """Every version of a model that is bound, as plain values, by name and version."""

    def described_model(
        self,
        model: str,
    ) -> dict[str, Any]:
        """A version of a model that is bound, as plain values."""

    def bind_model(
        self,
        model: str,
        feature_set: str,
        policy: Missing | None = None,
        bound_by: str | None = None,
    ) -> dict[str, Any]:
        """Bind a version of a model (`load-model@3`) to a version of a feature set, as it is now;
        the model as plain values."""

    def unbind_model(
        self,
        model: str,
    ) -> None:
        """Let a version of a model be bound to nothing."""

    def roll_out(
        self,
        name: str,
        to: int,
        percent: float,
        begun_by: str | None = None,
    ) -> dict[str, Any]:
        """Let `get` and `get_batch` take version `to` of a set, asked for by its name alone, for
        some assets; the rollout as plain values."""

    def finish_rollout(
        self,
        name: str,
    ) -> None:
        """Make the version that is rolled out the default."""

    def abort_rollout(
        self,
        name: str,
    ) -> None:
        """End a rollout, the default version as it was."""

    def rollouts(
        self,
    ) -> list[dict[str, Any]]:
        """Every rollout under way, as plain values, by name."""

    def rollout_split(
        self,
        name: str,
        tenant_id: str,
        asset_ids: Iterable[str],
    ) -> dict[str, int]:
        """The version that each asset is answered by, while a rollout is under way."""

    def keys(
        self,
    ) -> list[dict[str, Any]]:
        """Every key for one's own tenants, those that ended too, as plain values."""

    def create_key(
        self,
        name: str,
        tenants: Iterable[str] | None,
        scopes: Iterable[str],
        expires: Duration | None = None,
        created_by: str | None = None,
    ) -> dict[str, Any]:
        """Make a key for some tenants (None: every one), which ends after `expires` (None: never);
        it as plain values, with the `key` itself, which is kept nowhere."""

    def revoke_key(
        self,
        id: str,
    ) -> dict[str, Any]:
        """Let a key be valid no more, in every process within seconds; the key as plain values."""

    def __enter__(self) -> Client:
        """Open it, also once more."""

    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None:
        """Finish what is under way, then let go of everything; also what `with` ends with."""
