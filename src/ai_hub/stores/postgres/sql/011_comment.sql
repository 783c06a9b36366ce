-- What every table, column and function is, for who looks with SQL.
--
-- A later migration comments on what it adds.

COMMENT ON TABLE timeseries_data IS
  'Every observation as it came, with its quality. Features do not read it.';
COMMENT ON TABLE ai_features IS
  'The usable observations (quality of 1 or more), which features read.';
COMMENT ON TABLE weather_features IS
  'Weather measured and forecast: a row for each instant, issue and source.';
COMMENT ON TABLE asset_weather_source IS 'Which station an asset takes its weather from, and since when.';
COMMENT ON TABLE asset_attributes IS 'What assets have besides readings, and since when.';
COMMENT ON TABLE feature_exports IS 'A record of each export to a file.';
COMMENT ON TABLE feature_sets IS 'The feature sets that were applied; a version never changes.';
COMMENT ON TABLE feature_set_defaults IS 'The version that the name of a feature set alone means.';
COMMENT ON TABLE registry_revision IS 'How often the registry of feature sets was changed; one row.';
COMMENT ON TABLE feature_models IS 'Models that are bound to a version of a feature set.';
COMMENT ON TABLE feature_rollouts IS 'Feature sets of which a part of the assets has another version.';
COMMENT ON TABLE ai_hub_migrations IS 'The migrations that were applied to this database.';
COMMENT ON TABLE ai_hub_retention IS 'How long rows are kept; declared with ai_hub_keep.';
COMMENT ON TABLE ai_hub_hourly IS 'How far ai-hub maintain has refreshed hourly_features; one row.';
COMMENT ON TABLE ai_hub_late IS 'Where rows came in behind the refreshed hours and wait for ai-hub maintain.';

COMMENT ON VIEW hourly_features IS
  'Statistics of each hour and series, from its first reading to its last. UTC.';
COMMENT ON VIEW daily_features IS
  'Statistics of each day and series, from its first reading to its last. UTC.';
COMMENT ON VIEW forecast_basic_features IS
  'The feature set forecast_basic as of every observation; missing values are null.';
COMMENT ON VIEW forecast_advanced_features IS
  'The feature set forecast_advanced as of every observation; missing values are null.';
COMMENT ON VIEW anomaly_detection_features IS
  'The feature set anomaly_detection as of every observation; missing values are null.';

COMMENT ON FUNCTION get_lag_features IS
  'The value of a series each of some hours before an instant, and how old it is.';
COMMENT ON FUNCTION get_rolling_features IS
  'Statistics of a series over the hours that end at an instant, both ends included.';
COMMENT ON FUNCTION ai_hub_keep IS
  'Declare how long a table keeps its rows; null keeps them for ever.';
COMMENT ON FUNCTION ai_hub_series_mean IS 'The mean of a series over a closed range of time.';
COMMENT ON FUNCTION ai_hub_weather_mean IS
  'The mean of a weather column over a closed range, as it is known at the end of that.';
COMMENT ON FUNCTION ai_hub_window IS
  'Count, mean, sample deviation, least, greatest and sum of a series over a closed range.';
COMMENT ON FUNCTION ai_hub_raw_window IS
  'Count, mean, sample deviation, least, greatest and sum of a series over a closed range, from its rows.';
COMMENT ON FUNCTION ai_hub_flat_window IS
  'What ai_hub_window gives for a window whose values are all the same.';
COMMENT ON FUNCTION ai_hub_mean_of IS 'A mean from an exact sum; null where no double holds it.';
COMMENT ON AGGREGATE fs_moments(float8) IS 'Count, sum and squared deviations of values.';
COMMENT ON AGGREGATE fs_moments_merge(float8[]) IS
  'Count, sum and squared deviations of parts together.';
COMMENT ON FUNCTION fs_moments_of IS
  'Count, sum and squared deviations from a count, a mean and a sample deviation.';

COMMENT ON INDEX asset_weather_source_source IS 'The assets of a station, whose weather has changed.';
COMMENT ON INDEX feature_exports_tenant_created IS 'The exports of a tenant, the newest first.';
COMMENT ON INDEX feature_exports_in_place IS 'The export whose file is in a place.';
COMMENT ON INDEX feature_exports_under_way IS 'Exports under way, by their last sign of life.';
COMMENT ON INDEX ai_hub_hourly_one IS 'Holds the table at one row.';
COMMENT ON SEQUENCE ai_hub_late_stamp IS 'Stamps of the writes in ai_hub_late.';

\if :timescaledb
COMMENT ON TRIGGER ai_hub_declare_policies ON ai_hub_retention IS
  'Keeps the policies of TimescaleDB as the row says.';
COMMENT ON FUNCTION ai_hub_raw_part IS 'A part of a window that is read from rows.';
COMMENT ON FUNCTION ai_hub_hourly_part IS 'A part of a window that is read from hourly_features.';
COMMENT ON FUNCTION ai_hub_merge_parts IS 'Two parts of a window as one.';
COMMENT ON FUNCTION ai_hub_declare_policies IS
  'Keeps the policies of TimescaleDB as ai_hub_retention says.';
\elif :apache
\else
COMMENT ON INDEX timeseries_data_ts_brin IS 'Rows by time, for retention.';
COMMENT ON INDEX ai_features_ts_brin IS 'Rows by time, for retention.';
COMMENT ON INDEX weather_features_ts_brin IS 'Rows by time, for retention.';
\endif

-- A column means the same wherever it stands, unless its table is named.
DO $comment$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT DISTINCT ON (c.oid, a.attnum) c.oid::regclass AS relation, a.attname, said.meaning
    FROM (VALUES
      ('*', 'timestamp', 'The instant of the reading; features are as of it'),
      ('*', 'tenant_id', 'Whose it is'),
      ('*', 'asset_id', 'The asset of the tenant'),
      ('*', 'feature_type', 'The series of the asset: value, load, price ...'),
      ('*', 'value', 'The reading, in the unit of its series'),
      ('*', 'quality', '1 or more: usable; less: not read by features'),
      ('*', 'ingested_at', 'When it was stored'),
      ('weather_features', 'timestamp', 'The instant that it is about'),
      ('weather_features', 'issued_at', 'The instant from which it was known'),
      ('weather_features', 'asset_id', 'An asset, or a station that assets share'),
      ('weather_features', 'temperature', 'Temperature (°C)'),
      ('weather_features', 'humidity', 'Relative humidity (%)'),
      ('weather_features', 'solar_irradiance', 'Solar irradiance (W/m²)'),
      ('weather_features', 'wind_speed', 'Wind speed (m/s)'),
      ('weather_features', 'cloud_cover', 'Cloud cover (%)'),
      ('weather_features', 'precipitation', 'Precipitation (mm)'),
      ('*', 'source_id', 'The station; null: the asset has weather of its own again'),
      ('*', 'valid_from', 'The instant from which it holds'),
      ('*', 'key', 'What it is: capacity, area, timezone ...'),
      ('*', 'number', 'The attribute, where it is a number'),
      ('*', 'text', 'The attribute, where it is a text; neither: it has ended'),
      ('feature_exports', 'export_id', 'The export'),
      ('feature_exports', 'feature_set', 'The feature set, or names of features'),
      ('feature_exports', 'feature_set_version', 'Its version; null for features by name'),
      ('feature_exports', 'status',
        'pending, processing, completed, no_data, failed or cancelled'),
      ('feature_exports', 'start_time', 'From when on it has rows'),
      ('feature_exports', 'end_time', 'Until when it has rows'),
      ('feature_exports', 'asset_ids', 'The assets asked for; null: all of the tenant'),
      ('feature_exports', 'format', 'The format of the file'),
      ('feature_exports', 'row_count', 'How many rows the file has'),
      ('feature_exports', 'file_size_bytes', 'How large the file is (bytes)'),
      ('feature_exports', 'storage_path', 'Where the file is'),
      ('feature_exports', 'checksum', 'SHA-256 of the file'),
      ('feature_exports', 'error', 'Why it failed'),
      ('feature_exports', 'created_at', 'When it was asked for'),
      ('feature_exports', 'started_at', 'When it began'),
      ('feature_exports', 'heartbeat_at', 'When it was last known to be under way'),
      ('feature_exports', 'completed_at', 'When it ended'),
      ('feature_exports', 'replaced_by', 'The export that has its place now'),
      ('feature_exports', 'violations', 'How many rows are outside their range, by feature'),
      ('*', 'name', 'The name of the feature set'),
      ('*', 'version', 'The version of the feature set'),
      ('*', 'state', 'active or retired'),
      ('*', 'fingerprint', 'A hash of what the version means'),
      ('*', 'semantics', 'The meaning of features that the hash is of'),
      ('*', 'document', 'The feature set as it was applied'),
      ('*', 'applied_at', 'When it was applied'),
      ('*', 'applied_by', 'Who applied it'),
      ('*', 'revision', 'The revision of the registry that brought it'),
      ('registry_revision', 'only_row', 'Holds the table at one row'),
      ('registry_revision', 'revision', 'Raised by every change of the registry'),
      ('feature_models', 'model', 'The name of the model'),
      ('feature_models', 'model_version', 'The version of the model'),
      ('feature_models', 'feature_set', 'The feature set that it is bound to'),
      ('feature_models', 'set_version', 'The version of that'),
      ('feature_models', 'fingerprint', 'The hash of the version when it was bound'),
      ('feature_models', 'policy', 'What the model is given for missing values'),
      ('feature_models', 'bound_at', 'When it was bound'),
      ('feature_models', 'bound_by', 'Who bound it'),
      ('feature_rollouts', 'from_version', 'The version that the others have'),
      ('feature_rollouts', 'to_version', 'The version that is rolled out'),
      ('feature_rollouts', 'share', 'To how many of ten thousand assets'),
      ('feature_rollouts', 'begun_at', 'When it began'),
      ('feature_rollouts', 'begun_by', 'Who began it'),
      ('ai_hub_migrations', 'number', 'The number of the migration'),
      ('ai_hub_migrations', 'name', 'The name of its file'),
      ('ai_hub_migrations', 'checksum', 'SHA-256 of its text'),
      ('ai_hub_migrations', 'mode', 'What it was applied for: plain, apache or timescaledb'),
      ('ai_hub_migrations', 'release', 'The release of ai-hub that applied it'),
      ('ai_hub_migrations', 'applied_at', 'When it was applied'),
      ('ai_hub_retention', 'relation', 'The table or aggregate'),
      ('ai_hub_retention', 'keep', 'How long its rows are kept; null: for ever'),
      ('ai_hub_retention', 'told_at', 'When ai-hub maintain said what it will delete'),
      ('ai_hub_retention', 'deleted_before', 'The instant before which rows were deleted'),
      ('ai_hub_hourly', 'announced', 'Who writes before this leaves a row in ai_hub_late'),
      ('ai_hub_hourly', 'done', 'Hours before this hold every row that was there'),
      ('ai_hub_late', 'first', 'The first instant that was written'),
      ('ai_hub_late', 'last', 'The last instant that was written'),
      ('ai_hub_late', 'stamp', 'Of the newest write'),
      ('*', 'bucket', 'The start of the hour or the day, UTC'),
      ('hourly_features', 'hourly_avg', 'Mean of the hour'),
      ('hourly_features', 'hourly_min', 'Least value of the hour'),
      ('hourly_features', 'hourly_max', 'Greatest value of the hour'),
      ('hourly_features', 'hourly_stddev', 'Standard deviation of the hour'),
      ('hourly_features', 'hourly_count', 'Number of values of the hour'),
      ('daily_features', 'daily_avg', 'Mean of the day'),
      ('daily_features', 'daily_min', 'Least value of the day'),
      ('daily_features', 'daily_max', 'Greatest value of the day'),
      ('daily_features', 'daily_stddev', 'Standard deviation of the day'),
      ('daily_features', 'daily_count', 'Number of values of the day'),
      ('*', 'hour_of_day', 'Hour of the day, UTC (h)'),
      ('*', 'day_of_week', 'Day of the week, Monday is 0, UTC'),
      ('*', 'day_of_month', 'Day of the month, UTC'),
      ('*', 'month', 'Month, UTC'),
      ('*', 'is_weekend', '1 on Saturday and Sunday, UTC'),
      ('*', 'is_business_hours', '1 from Monday to Friday, 09:00 to 17:00, UTC'),
      ('*', 'hourly_avg', 'Mean of the hour so far'),
      ('*', 'lag_1h', 'The value an hour before'),
      ('*', 'lag_24h', 'The value 24 hours before'),
      ('*', 'lag_168h', 'The value 168 hours before'),
      ('*', 'rolling_avg_24h', 'Mean of the last 24 hours'),
      ('*', 'rolling_std_24h', 'Standard deviation of the last 24 hours'),
      ('*', 'historical_avg_24h', 'Mean of the last 24 hours'),
      ('*', 'historical_std_24h', 'Standard deviation of the last 24 hours'),
      ('*', 'max_24h', 'Greatest value of the last 24 hours'),
      ('*', 'min_24h', 'Least value of the last 24 hours'),
      ('*', 'range_24h', 'Greatest value less the least of the last 24 hours'),
      ('*', 'temperature', 'Temperature, the latest known of the last 24 hours (°C)'),
      ('*', 'humidity', 'Relative humidity, the latest known of the last 24 hours (%)')
    ) AS said (relation, attname, meaning)
    JOIN pg_attribute a ON a.attname = said.attname AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_class c ON c.oid = a.attrelid AND said.relation IN (c.relname, '*')
    WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
      AND (
        c.relname IN (
          'timeseries_data', 'ai_features', 'weather_features', 'asset_weather_source',
          'asset_attributes', 'feature_exports', 'feature_sets', 'feature_set_defaults',
          'registry_revision', 'feature_models', 'feature_rollouts', 'hourly_features',
          'daily_features', 'forecast_basic_features', 'forecast_advanced_features',
          'anomaly_detection_features'
        ) OR starts_with(c.relname::text, 'ai_hub_') AND c.relkind = 'r'
      )
    ORDER BY c.oid, a.attnum, said.relation DESC
  LOOP
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', one.relation, one.attname, one.meaning);
  END LOOP;
END
$comment$;
