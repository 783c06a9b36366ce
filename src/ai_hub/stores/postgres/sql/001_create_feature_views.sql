-- The tables, aggregates, functions and views of the guide; 002 declares its retention.
--
-- Not to be run alone: `ai-hub migrate` runs it, and so does, in psql, the file that
-- `ai-hub migrate --sql FILE` writes. Both set `timescaledb` and `apache`; at most one is true.
--
-- Ids compare by code point (COLLATE "C"), as they do everywhere in the product; instants are
-- handled in ways that do not depend on the time zone of a session: hours, not days.

CREATE TABLE IF NOT EXISTS timeseries_data (
  timestamp TIMESTAMPTZ NOT NULL,
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  feature_type TEXT COLLATE "C" NOT NULL DEFAULT 'value',
  value DOUBLE PRECISION NOT NULL CHECK (value > '-Infinity' AND value < 'Infinity'),  -- nor NaN
  quality INTEGER NOT NULL DEFAULT 1,
  ingested_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, asset_id, feature_type, timestamp)
);

CREATE TABLE IF NOT EXISTS ai_features (
  timestamp TIMESTAMPTZ NOT NULL,
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  feature_type TEXT COLLATE "C" NOT NULL DEFAULT 'value',
  value DOUBLE PRECISION NOT NULL CHECK (value > '-Infinity' AND value < 'Infinity'),
  ingested_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, asset_id, feature_type, timestamp)
);

CREATE TABLE IF NOT EXISTS weather_features (
  timestamp TIMESTAMPTZ NOT NULL,           -- the instant it is about
  issued_at TIMESTAMPTZ NOT NULL,           -- the instant it became known
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,       -- an asset, or a station that assets share
  temperature DOUBLE PRECISION CHECK (temperature > '-Infinity' AND temperature < 'Infinity'),
  humidity DOUBLE PRECISION CHECK (humidity > '-Infinity' AND humidity < 'Infinity'),
  solar_irradiance DOUBLE PRECISION
    CHECK (solar_irradiance > '-Infinity' AND solar_irradiance < 'Infinity'),
  wind_speed DOUBLE PRECISION CHECK (wind_speed > '-Infinity' AND wind_speed < 'Infinity'),
  cloud_cover DOUBLE PRECISION CHECK (cloud_cover > '-Infinity' AND cloud_cover < 'Infinity'),
  precipitation DOUBLE PRECISION CHECK (precipitation > '-Infinity' AND precipitation < 'Infinity'),
  ingested_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, asset_id, timestamp, issued_at)
);

CREATE TABLE IF NOT EXISTS asset_weather_source (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  source_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, asset_id)
);
-- New weather of a station concerns every asset mapped to it.
CREATE INDEX IF NOT EXISTS asset_weather_source_source
  ON asset_weather_source (tenant_id, source_id);

CREATE TABLE IF NOT EXISTS feature_exports (
  export_id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id TEXT COLLATE "C" NOT NULL,
  feature_set TEXT COLLATE "C" NOT NULL,
  feature_set_version TEXT DEFAULT '1',     -- null for a set that has no name
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'processing', 'completed', 'failed', 'no_data', 'cancelled')),
  start_time TIMESTAMPTZ,
  end_time TIMESTAMPTZ,
  asset_ids TEXT[] COLLATE "C",
  format TEXT NOT NULL DEFAULT 'parquet',
  row_count BIGINT CHECK (row_count >= 0),
  file_size_bytes BIGINT CHECK (file_size_bytes >= 0),
  storage_path TEXT,
  checksum TEXT,
  error TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  started_at TIMESTAMPTZ,
  heartbeat_at TIMESTAMPTZ,                 -- 'processing' without a recent one is dead
  completed_at TIMESTAMPTZ,
  CHECK (start_time <= end_time),
  CHECK (status <> 'completed' OR (storage_path IS NOT NULL AND row_count IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS feature_exports_tenant_created
  ON feature_exports (tenant_id, created_at DESC);

-- Count, sum and sum of squared deviations: what averages and deviations of parts merge by.
CREATE OR REPLACE AGGREGATE fs_moments(float8) (
  SFUNC = float8_accum, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = float8_combine, PARALLEL = SAFE
);
CREATE OR REPLACE AGGREGATE fs_moments_merge(float8[]) (
  SFUNC = float8_combine, STYPE = float8[], INITCOND = '{0,0,0}',
  COMBINEFUNC = float8_combine, PARALLEL = SAFE
);
CREATE OR REPLACE FUNCTION fs_moments_of(n bigint, mean float8, sd float8) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN mean IS NOT NULL
    -- A product that is too small for a double is an error in PostgreSQL, not a zero.
    THEN ARRAY[n::float8, n * mean, CASE WHEN sd > 1e-150 THEN sd * sd * (n - 1) ELSE 0 END] END
$$;

-- PostgreSQL raises an error where the square of a deviation overflows, which one absurd value of
-- one asset would do to everybody's refresh. So averages and deviations are taken of values up to
-- 1e145, and where there are larger ones they are computed in NUMERIC, or are null.

-- A mean from an exact sum; null where a double cannot hold the sum, as in every engine.
CREATE OR REPLACE FUNCTION ai_hub_mean_of(p_sum numeric, p_n bigint) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN abs(p_sum) < 1e-290 THEN 0
    WHEN abs(p_sum) < 1.797693134862315e308 THEN (p_sum / p_n)::float8 END
$$;

-- [count, mean, sample deviation, min, max, sum] of the rows in the closed range, read raw.
--
-- Volatile, as is all that reads tables in plpgsql here: a stable function sees what its caller
-- saw, and rows of a chunk that is put into the columnstore in between are in neither place then.
CREATE OR REPLACE FUNCTION ai_hub_raw_window(
  p_tenant text, p_asset text, p_series text, p_first timestamptz, p_last timestamptz
) RETURNS float8[] LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  n bigint;
  m float8[];
  lowest float8;
  highest float8;
  total numeric;
  squares numeric;
BEGIN
  SELECT count(*), fs_moments(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145),
      min(value), max(value)
    INTO n, m, lowest, highest
    FROM ai_features
    WHERE tenant_id = p_tenant AND asset_id = p_asset AND feature_type = p_series
      AND timestamp >= p_first AND timestamp <= p_last;
  IF n = 0 THEN
    RETURN ARRAY[0, NULL, NULL, NULL, NULL, NULL]::float8[];
  ELSIF lowest >= -1e145 AND highest <= 1e145 THEN
    RETURN ARRAY[n, float8_avg(m), float8_stddev_samp(m), lowest, highest, m[2]];
  END IF;
  SELECT sum(value::numeric), var_samp(value::numeric) * (n - 1)
    INTO total, squares
    FROM ai_features
    WHERE tenant_id = p_tenant AND asset_id = p_asset AND feature_type = p_series
      AND timestamp >= p_first AND timestamp <= p_last;
  RETURN ARRAY[
    n,
    ai_hub_mean_of(total, n),
    CASE WHEN squares < 1.797693134862315e308 THEN sqrt(squares / (n - 1))::float8 END,
    lowest,
    highest,
    ai_hub_mean_of(total, 1)
  ];
END
$$;

\if :timescaledb
SELECT create_hypertable(
    relation, by_range('timestamp', INTERVAL '7 days'),
    create_default_indexes => false, if_not_exists => true, migrate_data => true)
  FROM unnest(ARRAY['timeseries_data', 'ai_features', 'weather_features']::regclass[]) AS relation;

ALTER TABLE ai_features SET (timescaledb.enable_columnstore,
  timescaledb.segmentby = 'tenant_id, asset_id, feature_type', timescaledb.orderby = 'timestamp');
ALTER TABLE weather_features SET (timescaledb.enable_columnstore,
  timescaledb.segmentby = 'tenant_id, asset_id', timescaledb.orderby = 'timestamp, issued_at');
-- Behind what a 168 h window at the newest rows reads, and a week of late data.
CALL add_columnstore_policy('ai_features', after => INTERVAL '14 days', if_not_exists => true);
CALL add_columnstore_policy('weather_features', after => INTERVAL '14 days', if_not_exists => true);

CREATE MATERIALIZED VIEW IF NOT EXISTS hourly_features
WITH (timescaledb.continuous, timescaledb.materialized_only = false,
  timescaledb.create_group_indexes = false) AS
SELECT time_bucket(INTERVAL '1 hour', timestamp) AS bucket, tenant_id, asset_id, feature_type,
  CASE WHEN min(value) >= -1e145 AND max(value) <= 1e145
    THEN avg(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS hourly_avg,
  min(value) AS hourly_min,
  max(value) AS hourly_max,
  CASE WHEN min(value) >= -1e145 AND max(value) <= 1e145
    THEN stddev_samp(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS hourly_stddev,
  count(*) AS hourly_count
FROM ai_features
GROUP BY 1, 2, 3, 4
WITH NO DATA;

CREATE MATERIALIZED VIEW IF NOT EXISTS daily_features
WITH (timescaledb.continuous, timescaledb.materialized_only = false,
  timescaledb.create_group_indexes = false) AS
SELECT time_bucket(INTERVAL '1 day', bucket) AS bucket, tenant_id, asset_id, feature_type,
  CASE WHEN count(hourly_avg) = count(*) THEN float8_avg(fs_moments_merge(
    fs_moments_of(hourly_count, hourly_avg, hourly_stddev))) END AS daily_avg,
  min(hourly_min) AS daily_min,
  max(hourly_max) AS daily_max,
  CASE WHEN count(hourly_avg) = count(*) THEN float8_stddev_samp(fs_moments_merge(
    fs_moments_of(hourly_count, hourly_avg, hourly_stddev))) END AS daily_stddev,
  sum(hourly_count)::bigint AS daily_count
FROM hourly_features
GROUP BY 1, 2, 3, 4
WITH NO DATA;

CREATE INDEX IF NOT EXISTS hourly_features_key
  ON hourly_features (tenant_id, asset_id, feature_type, bucket DESC);
CREATE INDEX IF NOT EXISTS daily_features_key
  ON daily_features (tenant_id, asset_id, feature_type, bucket DESC);

-- Wide enough for data of up to two weeks late; what did not change is not computed again. Where
-- rows were deleted a refresh would empty the aggregate, so it never starts at the beginning.
SELECT add_continuous_aggregate_policy('hourly_features', start_offset => INTERVAL '14 days',
  end_offset => INTERVAL '1 hour', schedule_interval => INTERVAL '15 minutes',
  if_not_exists => true);
SELECT add_continuous_aggregate_policy('daily_features', start_offset => INTERVAL '15 days',
  end_offset => INTERVAL '1 day', schedule_interval => INTERVAL '6 hours', if_not_exists => true);

ALTER MATERIALIZED VIEW hourly_features SET (timescaledb.enable_columnstore,
  timescaledb.segmentby = 'tenant_id, asset_id, feature_type', timescaledb.orderby = 'bucket');
ALTER MATERIALIZED VIEW daily_features SET (timescaledb.enable_columnstore,
  timescaledb.segmentby = 'tenant_id, asset_id, feature_type', timescaledb.orderby = 'bucket');
CALL add_columnstore_policy('hourly_features', after => INTERVAL '30 days', if_not_exists => true);
CALL add_columnstore_policy('daily_features', after => INTERVAL '60 days', if_not_exists => true);
-- Late rows of a chunk are put in order by maintenance alone: who reads an older snapshot, such as
-- an export, would miss them after that, and it knows who does. Chunks of aggregates are moved by
-- maintenance alone: beside a refresh of the same chunk, buckets are doubled or lost (TimescaleDB
-- 2.28.3), and only its own refreshes reach back that far.
SELECT alter_job(job_id, config => config || '{"recompress": false}',
    scheduled => hypertable_name NOT IN ('hourly_features', 'daily_features'))
  FROM timescaledb_information.jobs
  WHERE proc_name = 'policy_compression' AND hypertable_schema = current_schema()
    AND hypertable_name IN ('ai_features', 'weather_features', 'hourly_features', 'daily_features');
\else
CREATE OR REPLACE VIEW hourly_features AS
SELECT date_bin(INTERVAL '1 hour', timestamp, TIMESTAMPTZ '2000-01-03 00:00+00') AS bucket,
  tenant_id, asset_id, feature_type,
  CASE WHEN min(value) >= -1e145 AND max(value) <= 1e145
    THEN avg(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS hourly_avg,
  min(value) AS hourly_min,
  max(value) AS hourly_max,
  CASE WHEN min(value) >= -1e145 AND max(value) <= 1e145
    THEN stddev_samp(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS hourly_stddev,
  count(*) AS hourly_count
FROM ai_features
GROUP BY 1, 2, 3, 4;

CREATE OR REPLACE VIEW daily_features AS
SELECT date_bin(INTERVAL '1 day', timestamp, TIMESTAMPTZ '2000-01-03 00:00+00') AS bucket,
  tenant_id, asset_id, feature_type,
  CASE WHEN min(value) >= -1e145 AND max(value) <= 1e145
    THEN avg(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS daily_avg,
  min(value) AS daily_min,
  max(value) AS daily_max,
  CASE WHEN min(value) >= -1e145 AND max(value) <= 1e145
    THEN stddev_samp(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS daily_stddev,
  count(*) AS daily_count
FROM ai_features
GROUP BY 1, 2, 3, 4;
\endif

\if :apache
SELECT create_hypertable(
    relation, by_range('timestamp', INTERVAL '7 days'),
    create_default_indexes => false, if_not_exists => true, migrate_data => true)
  FROM unnest(ARRAY['timeseries_data', 'ai_features', 'weather_features']::regclass[]) AS relation;
\endif
\if :timescaledb
\elif :apache
\else
-- Retention deletes by time, which the keys do not begin with; rows come about in its order.
CREATE INDEX IF NOT EXISTS timeseries_data_ts_brin ON timeseries_data USING brin (timestamp);
CREATE INDEX IF NOT EXISTS ai_features_ts_brin ON ai_features USING brin (timestamp);
CREATE INDEX IF NOT EXISTS weather_features_ts_brin ON weather_features USING brin (timestamp);
\endif

-- For each lag asked for, in its order, the newest value in (t - lag - tolerance, t - lag].
DROP FUNCTION IF EXISTS get_lag_features(text, text, timestamptz, int[]);
CREATE OR REPLACE FUNCTION get_lag_features(
  p_tenant_id text, p_asset_id text, p_timestamp timestamptz, p_lags int[],
  p_feature_type text DEFAULT 'value', p_tolerance interval DEFAULT INTERVAL '1 hour'
) RETURNS TABLE (lag_hours int, lag_value float8, observed_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT l.hours, v.value, v.timestamp
  FROM unnest(p_lags) WITH ORDINALITY AS l(hours, place)
  LEFT JOIN LATERAL (
    SELECT a.value, a.timestamp
    FROM ai_features AS a
    WHERE a.tenant_id = p_tenant_id AND a.asset_id = p_asset_id AND a.feature_type = p_feature_type
      AND a.timestamp <= p_timestamp - l.hours * INTERVAL '1 hour'
      AND a.timestamp > p_timestamp - l.hours * INTERVAL '1 hour' - p_tolerance
    ORDER BY a.timestamp DESC
    LIMIT 1
  ) AS v ON true
  ORDER BY l.place
$$;

-- Statistics over [t - window, t].
DROP FUNCTION IF EXISTS get_rolling_features(text, text, timestamptz, int);
CREATE OR REPLACE FUNCTION get_rolling_features(
  p_tenant_id text, p_asset_id text, p_timestamp timestamptz, p_window_hours int,
  p_feature_type text DEFAULT 'value'
) RETURNS TABLE (rolling_avg float8, rolling_stddev float8, rolling_min float8, rolling_max float8,
  rolling_count bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT w[2], w[3], w[4], w[5], w[1]::bigint
  FROM ai_hub_raw_window(p_tenant_id, p_asset_id, p_feature_type,
    p_timestamp - p_window_hours * INTERVAL '1 hour', p_timestamp) AS w
$$;

-- The feature sets, at every observation. Plain views: they need no refresh and are never stale.
CREATE OR REPLACE VIEW forecast_basic_features AS
SELECT timestamp, tenant_id, asset_id, feature_type, value,
  -- The hour as far as it is known at the timestamp.
  CASE WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_hour = 0
    THEN avg(value) FILTER (WHERE abs(value) <= 1e145) OVER in_hour
    ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
      date_bin(INTERVAL '1 hour', timestamp, TIMESTAMPTZ '2000-01-03 00:00+00'), timestamp))[2]
    END AS hourly_avg,
  extract(hour FROM timestamp AT TIME ZONE 'UTC')::int AS hour_of_day,
  extract(isodow FROM timestamp AT TIME ZONE 'UTC')::int - 1 AS day_of_week,
  (extract(isodow FROM timestamp AT TIME ZONE 'UTC') >= 6)::int AS is_weekend,
  last_value(value) OVER at_1h AS lag_1h,
  last_value(value) OVER at_24h AS lag_24h,
  CASE WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
    THEN avg(value) FILTER (WHERE abs(value) <= 1e145) OVER in_24h
    ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
      timestamp - INTERVAL '24 hours', timestamp))[2] END AS rolling_avg_24h
FROM ai_features
WINDOW series AS (PARTITION BY tenant_id, asset_id, feature_type ORDER BY timestamp),
  in_hour AS (PARTITION BY tenant_id, asset_id, feature_type,
    date_bin(INTERVAL '1 hour', timestamp, TIMESTAMPTZ '2000-01-03 00:00+00') ORDER BY timestamp),
  at_1h AS (series RANGE BETWEEN INTERVAL '01:59:59.999999' PRECEDING
    AND INTERVAL '1 hour' PRECEDING),
  at_24h AS (series RANGE BETWEEN INTERVAL '24:59:59.999999' PRECEDING
    AND INTERVAL '24 hours' PRECEDING),
  in_24h AS (series RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW);

-- Weather comes after the windows, so that it is looked up for the rows that are asked for alone.
CREATE OR REPLACE VIEW forecast_advanced_features AS
SELECT f.timestamp, f.tenant_id, f.asset_id, f.feature_type, f.value,
  f.hour_of_day, f.day_of_week, f.is_weekend, f.lag_1h, f.lag_24h, f.rolling_avg_24h,
  extract(day FROM f.timestamp AT TIME ZONE 'UTC')::int AS day_of_month,
  extract(month FROM f.timestamp AT TIME ZONE 'UTC')::int AS month,
  (f.is_weekend = 0 AND f.hour_of_day >= 9 AND f.hour_of_day < 17)::int AS is_business_hours,
  f.lag_168h, f.rolling_std_24h, t.temperature, h.humidity
FROM (
  SELECT timestamp, tenant_id, asset_id, feature_type, value,
    extract(hour FROM timestamp AT TIME ZONE 'UTC')::int AS hour_of_day,
    extract(isodow FROM timestamp AT TIME ZONE 'UTC')::int - 1 AS day_of_week,
    (extract(isodow FROM timestamp AT TIME ZONE 'UTC') >= 6)::int AS is_weekend,
    last_value(value) OVER at_1h AS lag_1h,
    last_value(value) OVER at_24h AS lag_24h,
    last_value(value) OVER at_168h AS lag_168h,
    CASE WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
      THEN avg(value) FILTER (WHERE abs(value) <= 1e145) OVER in_24h
      ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
        timestamp - INTERVAL '24 hours', timestamp))[2] END AS rolling_avg_24h,
    CASE WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
      THEN stddev_samp(value) FILTER (WHERE abs(value) <= 1e145) OVER in_24h
      ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
        timestamp - INTERVAL '24 hours', timestamp))[3] END AS rolling_std_24h
  FROM ai_features
  WINDOW series AS (PARTITION BY tenant_id, asset_id, feature_type ORDER BY timestamp),
    at_1h AS (series RANGE BETWEEN INTERVAL '01:59:59.999999' PRECEDING
      AND INTERVAL '1 hour' PRECEDING),
    at_24h AS (series RANGE BETWEEN INTERVAL '24:59:59.999999' PRECEDING
      AND INTERVAL '24 hours' PRECEDING),
    at_168h AS (series RANGE BETWEEN INTERVAL '168:59:59.999999' PRECEDING
      AND INTERVAL '168 hours' PRECEDING),
    in_24h AS (series RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW)
) AS f
LEFT JOIN asset_weather_source AS m ON m.tenant_id = f.tenant_id AND m.asset_id = f.asset_id
LEFT JOIN LATERAL (
  SELECT w.temperature
  FROM weather_features AS w
  WHERE w.tenant_id = f.tenant_id AND w.asset_id = coalesce(m.source_id, f.asset_id)
    AND w.timestamp <= f.timestamp AND w.timestamp > f.timestamp - INTERVAL '24 hours'
    AND w.issued_at <= f.timestamp AND w.temperature IS NOT NULL
  ORDER BY w.timestamp DESC, w.issued_at DESC
  LIMIT 1
) AS t ON true
LEFT JOIN LATERAL (
  SELECT w.humidity
  FROM weather_features AS w
  WHERE w.tenant_id = f.tenant_id AND w.asset_id = coalesce(m.source_id, f.asset_id)
    AND w.timestamp <= f.timestamp AND w.timestamp > f.timestamp - INTERVAL '24 hours'
    AND w.issued_at <= f.timestamp AND w.humidity IS NOT NULL
  ORDER BY w.timestamp DESC, w.issued_at DESC
  LIMIT 1
) AS h ON true;

CREATE OR REPLACE VIEW anomaly_detection_features AS
SELECT timestamp, tenant_id, asset_id, feature_type, value,
  extract(hour FROM timestamp AT TIME ZONE 'UTC')::int AS hour_of_day,
  extract(isodow FROM timestamp AT TIME ZONE 'UTC')::int - 1 AS day_of_week,
  CASE WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
    THEN avg(value) FILTER (WHERE abs(value) <= 1e145) OVER in_24h
    ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
      timestamp - INTERVAL '24 hours', timestamp))[2] END AS historical_avg_24h,
  CASE WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
    THEN stddev_samp(value) FILTER (WHERE abs(value) <= 1e145) OVER in_24h
    ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
      timestamp - INTERVAL '24 hours', timestamp))[3] END AS historical_std_24h,
  max(value) OVER in_24h AS max_24h,
  min(value) OVER in_24h AS min_24h,
  -- The difference of two doubles may be no double: then there is no value.
  CASE WHEN (max(value) OVER in_24h)::numeric - (min(value) OVER in_24h)::numeric
      < 1.797693134862315e308
    THEN max(value) OVER in_24h - min(value) OVER in_24h END AS range_24h
FROM ai_features
WINDOW in_24h AS (PARTITION BY tenant_id, asset_id, feature_type ORDER BY timestamp
  RANGE BETWEEN INTERVAL '24 hours' PRECEDING AND CURRENT ROW);
