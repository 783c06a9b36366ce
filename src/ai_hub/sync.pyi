# Made by `python tests/stubs.py` of the asynchronous class: change that.
from ai_hub.access.grant import Grant
from ai_hub.config import Settings
from ai_hub.definitions.feature_set import FeatureSet
from ai_hub.definitions.registry import Registry
from ai_hub.definitions.target import Horizon
from ai_hub.definitions.values import Duration
from ai_hub.definitions.values import Time
from ai_hub.definitions.vocabulary import Missing
from ai_hub.definitions.vocabulary import WeatherColumn
from ai_hub.doctor.line import Line
from ai_hub.export.history import History
from ai_hub.export.training_set import TrainingSet
from ai_hub.front.training_sets import _Progress as Training_setsProgress
from ai_hub.intake.batch import Batch
from ai_hub.intake.batch import BatchKind
from ai_hub.intake.read_options import AttributeKeywords
from ai_hub.intake.read_options import ObservationKeywords
from ai_hub.intake.read_options import WeatherKeywords
from ai_hub.intake.result import IngestResult
from ai_hub.metrics import Metrics
from ai_hub.serving.answer import Answer
from ai_hub.serving.answer import Features
from ai_hub.serving.cache import CacheStats
from ai_hub.serving.reader import Found
from ai_hub.serving.readiness import Part
from ai_hub.serving.registry_plan import RegistryPlan
from ai_hub.serving.spec import Spec
from ai_hub.serving.warming import Progress
from ai_hub.storage.url import Url
from ai_hub.stores.drift_table import SetOf
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from os import PathLike
from pathlib import PurePath
from typing import Any
from typing import Unpack

class FeatureStore:
    """Meter readings in, feature vectors and training sets out.

    Use it as `with FeatureStore.open("duckdb:///features.duckdb") as store:`. Instants are
    aware datetimes, or ISO texts with an offset. Wrong input raises InvalidInput (or NotFound), a
    store that cannot do its work StoreError; an answer of `get` is then a degraded one instead."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry | None = None,
        now: Callable[[], int] = ...,
    ) -> None: ...

    @classmethod
    def open(
        cls,
        database_url: str | None = None,
        *,
        settings: Settings | None = None,
        registry: Registry | None = None,
        **overrides: Any,
    ) -> FeatureStore:
        """A store for `with`, on a database URL and settings (environment and file else)."""

    def prepare(
        self,
    ) -> None:
        """Import and connect now what the first ingest and the first export would."""

    def ready(
        self,
    ) -> dict[str, Part]:
        """How database, cache and exports are now, each in a word and a sentence."""

    def status(
        self,
        exact: bool = False,
    ) -> dict[str, Any]:
        """What the database is like: sizes, series, policies, as `ai-hub status --json` prints it.

        `exact` counts the rows of each series, which takes long on PostgreSQL. Raises StoreError."""

    def measured(
        self,
    ) -> Metrics:
        """What this process counted until now (what the doors show)."""

    def ingest(
        self,
        data: object,
        tenant_id: str | None = None,
        **options: Unpack[ObservationKeywords],
    ) -> IngestResult:
        """Land observations: pandas, Polars or Arrow tables, dict rows, or the path of a file.

        Columns timestamp, asset_id, value, and optionally feature_type, quality and tenant_id;
        `options` say how they are named, written and meant. 100,000 rows land at a time, each
        batch whole or not at all; `progress` is told the rows dealt with, a `dry_run` previews.
        Raises InvalidInput for a missing column or naive timestamps; a faulty row is rejected,
        counted and named in the result."""

    def ingest_bulk(
        self,
        path: str | PathLike[str],
        tenant_id: str | None = None,
        *,
        bookmark: str | PathLike[str] | None = None,
        **options: Unpack[ObservationKeywords],
    ) -> IngestResult:
        """Land years of observations from a file, as `ingest` does, sorted as they are kept.

        A million rows are sorted together: by week for chunks, elsewhere by series. How far it came
        is kept in the file `bookmark` (by default the path with .bookmark) until all landed:
        who calls it again goes on there, at most a million rows before where it stopped. Raises
        InvalidInput besides for a bookmark of another load. On PostgreSQL, maintain afterwards."""

    def ingest_weather(
        self,
        data: object,
        tenant_id: str | None = None,
        **options: Unpack[WeatherKeywords],
    ) -> IngestResult:
        """Land weather rows of assets or stations, as `ingest` does observations.

        Columns timestamp, asset_id, any of the six measurements, and optionally issued_at."""

    def ingest_attributes(
        self,
        data: object,
        tenant_id: str | None = None,
        **options: Unpack[AttributeKeywords],
    ) -> IngestResult:
        """Land what assets have besides: a capacity, a timezone ...; as `ingest` does observations.

        Columns asset_id, key and value, or asset_id and one for each key; and optionally
        valid_from. Without it an asset's first value of a key holds always, a later one from now
        on. A null value ends the attribute; a column for a key says nothing where it is empty."""

    @property
    def in_chunks(
        self,
    ) -> bool:
        """Whether the store keeps rows of a week together."""

    def land(
        self,
        batch: Batch,
        target: BatchKind,
    ) -> IngestResult:
        """Land one checked batch whole (what the doors do with a body or a part of a file)."""

    def assign_weather_source(
        self,
        *,
        tenant_id: str,
        source_id: str | None,
        asset_ids: Sequence[str],
        valid_from: Time | None = None,
    ) -> int:
        """Let assets take their weather from a source (a station), or (None) from their own rows.

        It holds from `valid_from` on, until the asset's next one; one of the same instant is
        replaced. By default an asset's first holds always, a later one from now on. How many
        assets that was a change for."""

    def asset(
        self,
        tenant_id: str,
        asset_id: str,
    ) -> dict[str, Any]:
        """What is known of an asset, as in a page of `assets`. Raises NotFound."""

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
        """The readings of an asset over [start_time, end_time] (of the set's series), one of the
        set's features and a column of weather, as plain values for a chart; times are seconds since
        the epoch.

        `readings` are at most two for each of `points` parts of the time, its lowest and its
        highest; `count` is how many there are, `gaps` where steps between them are much longer than
        usual, and `parts` what there is in each of 24 parts. `feature` has values at up to 400
        times, as `get` would have answered then, and where these were `missing` and filled. So has
        `weather`: the newest value that was known then, the time that it is `about`, and when it
        was `issued`. Raises InvalidInput, UnknownFeature, UnknownFeatureSet and StoreError."""

    def explain(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        exact: bool = False,
        model: str | None = None,
    ) -> dict[str, Any]:
        """What `get` answers to the same request, with each feature explained, as plain values.

        With `feature_names` beside a set or a model, those of its features alone are explained.
        `features` is a list: of each its `name` and `value`, whether it is `missing`, the `window`
        and the `rows` that it reads (how many, the first and last time, the newest ones), the share
        of the window that they cover, their `source`, what it was `filled` with, and its
        `definition`. Where it is missing or outside its range, `cause` names why, `why` says it in
        a sentence with what to do, and `command` is what to run. It reads past the cache, so that
        it takes longer than `get`. Raises StoreError."""

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

        `series` are by default the one that the feature set is about, else `value`; `features` all
        of a `feature_set` (or of the one that a `model` is bound to), or those named, without a set
        too; `weather` all its columns, or those named, as they were known at the time of each row.
        A row for every observation time of the series, or for every step of `frequency` from an
        asset's first observation on: features are what a training set has there, but for a set
        that rejects what is outside its range, which is here to be looked at. `indicators` say
        where a feature was missing. Assets without data have no rows. Raises InvalidInput, also for
        more rows than `limit` (up to 10,000,000), UnknownFeature, UnknownFeatureSet and StoreError."""

    def doctor(
        self,
        tenant_id: str | None = None,
    ) -> list[Line]:
        """What is wrong with database, data, cache, exports, clocks and settings, and what mends
        it: the `state` of each line is "ok", "warning" or "fault".

        Nothing is changed, and what cannot be looked at is a line that says why. With `tenant_id`
        the lines about data are that tenant's. Raises InvalidInput."""

    def warm_feature_cache(
        self,
        tenant_id: str,
        asset_ids: Sequence[str] | None = None,
        feature_set: str | None = None,
        timestamp: Time | None = None,
        *,
        abreast: int = 2,
        progress: Progress | None = None,
    ) -> dict[str, int]:
        """Have the vectors of some assets ready: of a set, or of every registered one.

        By default of every asset seen in the last day. `abreast` parts of 200 assets are computed
        at a time; `progress` is told how many vectors are ready, and of how many. Counts `assets`,
        `warmed` vectors, and of these `computed` now."""

    def tenants(
        self,
        by: Grant = ...,
        *,
        limit: int = 1000,
    ) -> list[str]:
        """The tenants that have data, sorted; for a grant of some tenants these, whether they have
        any or not. Raises StoreError."""

    def seen_assets(
        self,
        tenant_id: str,
        since: Time | None = None,
    ) -> list[str]:
        """The assets with a usable observation since a time (None: in the last day), sorted."""

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

        Each with its series (first and last reading, the usual step between the newest ones), the
        station whose weather it reads, and its attributes, as they are now. Those that have a
        usable reading or an attribute; with `since`, those with a reading since then; with
        `search`, those with that text in their id."""

    def freshness(
        self,
        tenant_id: str,
        limit: int = 50,
    ) -> dict[str, Any]:
        """How new a tenant's data is: how many `assets` have readings, how many of them one of
        `today` (in UTC), of `yesterday`, of the `week` before now and today, and none since
        (`older`); and the `stalest`, as `assets` lists them: those whose newest reading is the
        oldest. Raises StoreError."""

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

    def get(
        self,
        *,
        tenant_id: str,
        asset_id: str,
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        exact: bool = False,
        model: str | None = None,
    ) -> Answer:
        """The features of an asset as of `timestamp` (now if None), and all there is to know.

        The time is truncated to the store's granularity; `exact` skips that and the cache.
        A `model` (`load-model@3`) stands for the version and policy that it is bound to. Without a
        set, names or model: every built-in feature. Raises OutOfRange for values outside their
        range where the set rejects such."""

    def get_batch(
        self,
        *,
        tenant_id: str,
        asset_ids: Sequence[str],
        feature_set: str | None = None,
        feature_names: Sequence[str] | None = None,
        timestamp: Time | None = None,
        missing: Missing | None = None,
        exact: bool = False,
        model: str | None = None,
    ) -> dict[str, Answer]:
        """The answers for up to 1,000 assets by id: one read and one computation for all, under a
        rollout for each version. Where a set rejects values, an answer has an `error` instead."""

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

    def found(
        self,
        spec: Spec,
        tenant_id: str,
        asset_ids: Sequence[str],
        at: int,
        exact: bool = False,
        served: bool = True,
    ) -> list[Found]:
        """The vectors of distinct assets as JSON bytes, in their order (what the doors splice).

        `served` is whether a model gets them, where they are `exact`."""

    def drift_baseline(
        self,
        tenant_id: str | None = None,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        *,
        model: str | None = None,
        by: Grant = ...,
    ) -> dict[str, Any]:
        """Keep what the values of a set were in a time of history, as each export does of its rows.

        By default of the year before now, and of the one tenant with data of those of `by`. A
        `model` stands for the version that it is bound to. Gives the baseline as plain values.
        Raises NoRows where there are none, Busy and StoreError."""

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
        by: Grant = ...,
    ) -> dict[str, Any]:
        """How far a set's values over at most seven days (by default the last ones) are from a
        baseline, feature by feature, as plain values: the newest one, or that of an export.

        The values are those that were `served`, or those that `history` gives for that time; by
        default the former where there are any. Without `tenant_id` it is the one tenant with data
        of those of `by`. Raises NoRows where there are none, UnknownBaseline, Busy and StoreError."""

    def drifting(
        self,
    ) -> list[SetOf]:
        """Of what vectors were served in the last seven days."""

    def export_features_to_parquet(
        self,
        tenant_id: str,
        feature_set: str | None = None,
        start_time: Time | None = None,
        end_time: Time | None = None,
        output_path: str | PurePath | Url | None = None,
        asset_ids: Sequence[str] | None = None,
        *,
        missing: Missing | None = None,
        compression: str = 'snappy',
        horizons: Sequence[Horizon] = (),
        indicators: bool = False,
        frequency: str | None = None,
        spine: object = None,
        force: bool = False,
        in_tenant_folder: bool = False,
        progress: Training_setsProgress = None,
        model: str | None = None,
        parts: bool = False,
        partition_by: str | Sequence[str] | None = None,
        buckets: int | None = None,
        format: str = 'parquet',
        wait_seconds: float | None = None,
        detached: bool = False,
    ) -> dict[str, Any]:
        """Write a feature set over [start_time, end_time] to a Parquet file; the export's record.

        A row for every observation time of the set's series, for every step of `frequency` from an
        asset's first observation on, or for every row of `spine` (see `get_training_set`). A
        `model` stands for the set and policy that it is bound to. `horizons` add targets,
        `indicators` say where a feature was missing. By default the file is in the export root
        (`in_tenant_folder`: in the tenant's own folder there); `parts` make a folder,
        `manifest.json` last, with folders in it by `partition_by`: `month`, `asset_bucket` (of
        `buckets`, 16), or both. So does a URL (`s3://`, `gs://`, `az://`; extra `cloud`): a new one
        below it, named by the export's id. What no export wrote is replaced with `force` only, a
        folder never. With `format="delta"` (extra `delta`) that place is a Delta table, which has a
        new version then. Status `no_data` if there are no rows. Raises ExportFailed, or Busy if too
        many wait.

        It is a job: with `wait_seconds` the record comes after so long, and the job goes on in this
        process (`wait_for_export`); without, it ends with who waits. `detached`: it is recorded
        only, for a server of the same database."""

    def wait_for_export(
        self,
        export_id: str,
        wait_seconds: float | None = None,
    ) -> dict[str, Any]:
        """The record of an export once it has ended, or after so many seconds; the job goes on.

        Raises UnknownExport, and what went wrong with a job of this process."""

    def cancel_export(
        self,
        export_id: str,
    ) -> dict[str, Any]:
        """End an export that is under way, wherever; its record, `cancelled` as soon as it has
        stopped. One that has ended stays as it is. Raises UnknownExport."""

    def resume_export(
        self,
        export_id: str,
    ) -> dict[str, Any]:
        """Go on in this process with an export that waits for one, failed or was cancelled; its
        record (`wait_for_export`).

        Raises UnknownExport, InvalidInput for one that has come to its end or cannot be made again,
        and Busy."""

    def take_exports(
        self,
    ) -> None:
        """Take up exports that wait for a process, from now on: what servers do."""

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

        `spine`: pandas, Polars or Arrow tables, or dict rows (or a function that reads them when it
        is its turn), with asset_id, aware timestamp and any labels. As many rows come back, in
        their order, labels and times as they came. Raises InvalidInput, or Busy if many wait."""

    def exports(
        self,
        tenant_id: str | Collection[str] | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Recorded exports of a tenant, of several or of all, the newest first, up to 10,000."""

    def export_record(
        self,
        export_id: str,
    ) -> dict[str, Any]:
        """One recorded export. Raises UnknownExport."""

    def create_key(
        self,
        name: str,
        tenants: Iterable[str] | None,
        scopes: Iterable[str],
        expires: Duration | None = None,
        created_by: str | None = None,
        by: Grant = ...,
    ) -> dict[str, Any]:
        """Make a key for some tenants (None: every one), which ends after `expires` (None: never).

        Gives it as plain values with the `key` itself, which is kept nowhere: only now it can be
        read. Raises InvalidInput, Forbidden for tenants that are not among those of `by`, and
        StoreError."""

    def revoke_key(
        self,
        id: str,
        by: Grant = ...,
    ) -> dict[str, Any]:
        """Let a key be valid no more, in every process within seconds; the key as plain values.

        Raises UnknownKey and StoreError."""

    def keys(
        self,
        by: Grant = ...,
    ) -> list[dict[str, Any]]:
        """Every key, those that ended too, as plain values; the oldest first."""

    def roll_out(
        self,
        name: str,
        to: int,
        percent: float,
        begun_by: str | None = None,
    ) -> dict[str, Any]:
        """Let `get` and `batch` take version `to` of a set, asked for by its name alone, for some.

        An entity is among the `percent` (to the hundredth) by a hash of the set's name, tenant and
        asset: it sees one version, and a larger percentage only moves entities from the default
        version to the new one. Gives the rollout as plain values. Raises InvalidInput,
        UnknownFeatureSet, RetiredFeatureSet, RegistryConflict for the default version and while
        another rollout of the name is under way, and StoreError."""

    def finish_rollout(
        self,
        name: str,
    ) -> None:
        """Make the version that is rolled out the default. Raises UnknownRollout and StoreError."""

    def abort_rollout(
        self,
        name: str,
    ) -> None:
        """End a rollout, the default version as it was. Raises UnknownRollout and StoreError."""

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
        """The version that each asset is answered by, while a rollout is under way.

        Raises UnknownRollout."""

    def bind_model(
        self,
        model: str,
        feature_set: str,
        policy: Missing | None = None,
        bound_by: str | None = None,
    ) -> dict[str, Any]:
        """Bind a version of a model (`load-model@3`) to a version of a feature set, as it is now.

        Such a version cannot be retired, and a request that names the model is answered by it,
        under this policy (None: that of the set and its features) or not at all. Gives the model as
        plain values. Raises InvalidInput without a version, UnknownFeatureSet, RetiredFeatureSet,
        RegistryConflict for a model that is bound to another version or policy, and StoreError."""

    def unbind_model(
        self,
        model: str,
    ) -> None:
        """Let a version of a model be bound to nothing. Raises UnknownModel and StoreError."""

    def described_model(
        self,
        model: str,
    ) -> dict[str, Any]:
        """A version of a model that is bound, as plain values. Raises UnknownModel."""

    def models(
        self,
    ) -> list[dict[str, Any]]:
        """Every version of a model that is bound, as plain values, by name and version."""

    def register(
        self,
        feature_set: FeatureSet,
    ) -> None:
        """Make a feature set known to this process by its name and version, until it ends.

        Raises InvalidInput for a version that is known with another definition, and for a set that
        reads a view: that has to be applied."""

    def plan(
        self,
        feature_sets: Iterable[FeatureSet],
    ) -> RegistryPlan:
        """What `apply` would change, and what looks wrong; nothing is changed.

        Raises InvalidInput for a version that comes twice and for a view that cannot be read, and
        StoreError."""

    def apply(
        self,
        feature_sets: Iterable[FeatureSet],
        applied_by: str | None = None,
    ) -> RegistryPlan:
        """Have every process on this database serve these feature sets, all of them or none.

        What is applied already is no change, and what is not among them stays as it is. Raises
        RegistryConflict, with the differences, for a version that has another definition,
        InvalidInput for one that comes twice or reads a view that cannot be read, and StoreError."""

    def retire(
        self,
        feature_set: str,
    ) -> None:
        """Serve a version (`name@version`) no more; exports that were made with it stay readable.

        Raises RegistryConflict for a built-in version, a default one, one that models are bound to
        (the message names them) and one that is rolled out, InvalidInput without a version,
        UnknownFeatureSet, and StoreError."""

    def set_default(
        self,
        feature_set: str,
    ) -> None:
        """Let a name alone mean this version (`name@version`).

        Raises UnknownFeatureSet, RetiredFeatureSet, InvalidInput without a version,
        RegistryConflict while the name is rolled out, and StoreError."""

    def described(
        self,
        feature_set: str,
    ) -> dict[str, Any]:
        """A version (a retired one too) as plain values, with its state in the registry.

        Raises UnknownFeatureSet."""

    def listed(
        self,
    ) -> list[dict[str, Any]]:
        """Every version, retired ones too, as `described` gives it; by name and version."""

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
        by: Grant = ...,
    ) -> dict[str, Any]:
        """A page of audit `records`, the newest first, and before which id (`next`) there are more.

        Of one tenant (None: all, and what is about all of them), of one kind (`what`), by somebody
        (`who`: a name, or what stands in `who_id`), of [start_time, end_time). `by` is who asks:
        they see the records of their tenants and no others. Raises InvalidInput, Forbidden and
        StoreError."""

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
        """Remove data of a tenant, or of some of its assets: for ever, from every table.

        Readings of one `series` (None: all) and of [start_time, end_time), each open where it is
        None; with `weather` that of this time too. Without series and time assets go as a whole,
        with weather, stations and attributes. Cached vectors are dropped; files of exports stay,
        and are counted; files of the archive are written anew without it. It goes step by step: one
        that was stopped is run again. A `dry_run` counts what would go. Raises InvalidInput, Busy
        while the archive is written to, StorageError and StoreError."""

    def archive(
        self,
        before: Time,
        to: str,
        tenant_id: str | None = None,
        *,
        drop: bool = False,
        tell: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Seal the days (UTC) that end at or before a time: observations and weather of a tenant,
        or of all, as Parquet below a folder or a URL of object storage.

        What is sealed is compared with the database, row by row. With `drop` it is taken out of
        the database then, and exports and training sets read both as one history; that is for
        days that are 30 days old, and for all tenants at once. What came in since the last time is
        sealed in further files. It goes step by step, and `tell` is called with each: one that was
        stopped is run again. Gives the `steps`. Raises InvalidInput, Busy, StorageError and
        StoreError."""

    def unarchive(
        self,
        *,
        lost: str | None = None,
        tell: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """End the archive: rows that were taken out of the database come back, all of them, but
        where it has newer ones; then the files of the archive are removed.

        Where files are `lost`, with a reason for the audit log, rows that are in them alone are
        given up, and no file is read or removed. Retention holds again for what came back. It goes
        step by step: one that was stopped is run again. Gives the `steps`. Raises InvalidInput,
        Busy, StorageError and StoreError."""

    def archives(
        self,
        tenant_id: str | None = None,
    ) -> dict[str, Any]:
        """The layers of a tenant's archive, or of all, by age, and before when rows were dropped.

        Raises StoreError."""

    def __enter__(self) -> FeatureStore:
        """Open it, also once more."""

    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None:
        """Finish what is under way, then let go of everything; also what `with` ends with."""
