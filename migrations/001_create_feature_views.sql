-- The tables of ai-hub 0.2.0, for psql: psql -v ON_ERROR_STOP=1 -f FILE
-- It leaves out what was applied before.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET statement_timeout = 0;
SET intervalstyle = 'postgres';
SELECT pg_advisory_lock(7248003002);

DO $$
DECLARE
  extension text := (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb');
  mode_now text := CASE
    WHEN NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN 'plain'
    WHEN current_setting('timescaledb.license', true) = 'apache' THEN 'apache'
    ELSE 'timescaledb' END;
  other text;
  other_mode text;
BEGIN
  SELECT * INTO other, other_mode FROM (SELECT pg_get_userbyid(relowner), current_user FROM pg_class
WHERE oid = to_regclass('ai_hub_migrations') AND NOT pg_has_role(relowner, 'USAGE')) AS owners (owner, asking);
  IF FOUND THEN
    RAISE EXCEPTION 'The tables of ai-hub in this database belong to %, and % may not change them: run ai-hub migrate as their owner, whom AI_HUB_DATABASE_URL then names.', other, other_mode;
  END IF;
  IF current_setting('server_version_num')::int / 10000 < 14 THEN
    RAISE EXCEPTION 'PostgreSQL % is too old: ai-hub needs 14 or newer. Upgrade the server, or name another one in AI_HUB_DATABASE_URL.', current_setting('server_version');
  END IF;
  IF string_to_array(substring(extension FROM '^[0-9.]+'), '.')::int[] < ARRAY[2, 28, 3] THEN
    RAISE EXCEPTION 'TimescaleDB % is too old: before 2.28.3 it gives wrong deviations where avg and stddev of one column are read from the columnstore together. Install a newer one, restart the server and run ALTER EXTENSION timescaledb UPDATE in this database.', extension;
  END IF;
  IF extension IS NOT NULL AND current_setting('timescaledb.license', true) IS NULL THEN
    RAISE EXCEPTION 'This database has the extension TimescaleDB %, but the server has not loaded it. Set shared_preload_libraries = ''timescaledb'' in postgresql.conf and restart the server.', extension;
  END IF;
  IF to_regclass('ai_hub_migrations') IS NOT NULL THEN
    SELECT name INTO other FROM ai_hub_migrations
      WHERE number NOT IN (SELECT number FROM (VALUES (1, '6c3bf54e478b56fa9b6fea58a690962c8b3fab711e1d0c097bcb398ab19eaced'), (2, 'b15d2dadce8dd1effad3c315c84bba728d765f6446d080a582b7b4ac20d4ffa0'), (3, '5f37fddca0caa97e4dd66f5f4f74be2889850de1009892fb3f6f4de8a3e04757'), (4, 'ae4760e6f57e9a6b16712d37752dc79cb19fa5f30378efecdffad1ca82fc71a0'), (5, '3f321386fdb89c1ba09d8ca8bc8d7598b0116d2d7a9fcf9b7f2c31ec9cf82fda'), (6, 'd4bc2458191511d55397b6b49d3c2748eb3fdcf90efbd71b5bae768eabfb74bf'), (7, '0c0eed3907597caf8a9aa482213655248433b42f5cc5410e2599085435ed81ed'), (8, '0eba29e05bb466b4f6979fc4bf2ba313955a81cdf4d754e25cf1ad660ebfa792'), (9, 'f2428f012d96c00aa7bf503a615baca592dce83d83a26fc628a5f1f5372c6552'), (10, '102776214558f49ef786366b281ad9fce318425d582ee6b1018a4b5c64be90a9'), (11, 'b6e70d816fa918d5b8d30f051ddb7a3ac094c8ff5989a14858c4faa2507d48a7'), (12, 'fac61190b6de797ee69adfd480820149b4de43c9ae21e697dd473cedc6130b87'), (13, 'f6404be6758e10a96052518281bb1adc0efecd4b80a8c75b1a30343f4b89cc77'), (14, 'bbf49c03f6fbd0519928cd107325d401bd283854e2b1f5f81a2b6a3ac49be886'), (15, '28475211df8d0995bf5804b9e97102112e13fe105856d5257d32770ae0240166'), (16, 'dad1e2a4ca204cf8ccc566146e8540bd1a5316465c12179e6b63ca66da3cc7f1'), (17, 'a7189f1ca0aeb2642d8e618f85d598a75953fe0edfc7e965f2b667c480fd1549'), (18, 'e7001129c935391b8c4dd5c89e4a276e3fa9f2e6a6915aba7ce09bf419de97c6'), (19, 'c36057e83a5e540093f17804ceb533352f4fe1462b5fbedbeafaab5daa5758f6'), (20, 'd4e29e3b772ec7f3a2867a95849adf8763fee505f58b368308a434968c95427b'), (21, 'c8f5d3c5944372f639ad00ca249bccad703e63a57da1d1be3fe8fe994305566e'), (22, '2f0085495e1c8696134ca49edfbc416440979fbeac5c5c3095771d9eebc1153b'), (23, '910de57826f7e22d2d8b95ff714a9884680b4e021a8dec1b4c2eb7cdaca04153'), (24, '9730d87c50f8519868d67d1ced76a70db2dc61287d5a3545ad75fb50155024a4')) AS known (number, checksum))
      ORDER BY number LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'This database has migration %, which ai-hub % does not know: a newer ai-hub migrated it. Upgrade ai-hub here, or name another database in AI_HUB_DATABASE_URL.', other, '0.2.0';
    END IF;
    SELECT mode INTO other_mode FROM ai_hub_migrations WHERE mode <> mode_now LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'This database was migrated for % and the server now has %. Go back to what it was migrated for, or run ai-hub migrate on a new database and copy the rows of the tables over.',
        (SELECT what FROM (VALUES ('plain', 'PostgreSQL without TimescaleDB'), ('apache', 'TimescaleDB under the Apache licence'), ('timescaledb', 'TimescaleDB with its full licence')) AS modes (mode, what) WHERE mode = other_mode),
        (SELECT what FROM (VALUES ('plain', 'PostgreSQL without TimescaleDB'), ('apache', 'TimescaleDB under the Apache licence'), ('timescaledb', 'TimescaleDB with its full licence')) AS modes (mode, what) WHERE mode = mode_now);
    END IF;
    SELECT name INTO other
      FROM ai_hub_migrations JOIN (VALUES (1, '6c3bf54e478b56fa9b6fea58a690962c8b3fab711e1d0c097bcb398ab19eaced'), (2, 'b15d2dadce8dd1effad3c315c84bba728d765f6446d080a582b7b4ac20d4ffa0'), (3, '5f37fddca0caa97e4dd66f5f4f74be2889850de1009892fb3f6f4de8a3e04757'), (4, 'ae4760e6f57e9a6b16712d37752dc79cb19fa5f30378efecdffad1ca82fc71a0'), (5, '3f321386fdb89c1ba09d8ca8bc8d7598b0116d2d7a9fcf9b7f2c31ec9cf82fda'), (6, 'd4bc2458191511d55397b6b49d3c2748eb3fdcf90efbd71b5bae768eabfb74bf'), (7, '0c0eed3907597caf8a9aa482213655248433b42f5cc5410e2599085435ed81ed'), (8, '0eba29e05bb466b4f6979fc4bf2ba313955a81cdf4d754e25cf1ad660ebfa792'), (9, 'f2428f012d96c00aa7bf503a615baca592dce83d83a26fc628a5f1f5372c6552'), (10, '102776214558f49ef786366b281ad9fce318425d582ee6b1018a4b5c64be90a9'), (11, 'b6e70d816fa918d5b8d30f051ddb7a3ac094c8ff5989a14858c4faa2507d48a7'), (12, 'fac61190b6de797ee69adfd480820149b4de43c9ae21e697dd473cedc6130b87'), (13, 'f6404be6758e10a96052518281bb1adc0efecd4b80a8c75b1a30343f4b89cc77'), (14, 'bbf49c03f6fbd0519928cd107325d401bd283854e2b1f5f81a2b6a3ac49be886'), (15, '28475211df8d0995bf5804b9e97102112e13fe105856d5257d32770ae0240166'), (16, 'dad1e2a4ca204cf8ccc566146e8540bd1a5316465c12179e6b63ca66da3cc7f1'), (17, 'a7189f1ca0aeb2642d8e618f85d598a75953fe0edfc7e965f2b667c480fd1549'), (18, 'e7001129c935391b8c4dd5c89e4a276e3fa9f2e6a6915aba7ce09bf419de97c6'), (19, 'c36057e83a5e540093f17804ceb533352f4fe1462b5fbedbeafaab5daa5758f6'), (20, 'd4e29e3b772ec7f3a2867a95849adf8763fee505f58b368308a434968c95427b'), (21, 'c8f5d3c5944372f639ad00ca249bccad703e63a57da1d1be3fe8fe994305566e'), (22, '2f0085495e1c8696134ca49edfbc416440979fbeac5c5c3095771d9eebc1153b'), (23, '910de57826f7e22d2d8b95ff714a9884680b4e021a8dec1b4c2eb7cdaca04153'), (24, '9730d87c50f8519868d67d1ced76a70db2dc61287d5a3545ad75fb50155024a4')) AS known (number, checksum) USING (number)
      WHERE ai_hub_migrations.checksum <> known.checksum
      ORDER BY number LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'Migration % of this database has other content than in ai-hub %: some other build of ai-hub migrated it. Use that build, or migrate a new database and copy the rows over.', other, '0.2.0';
    END IF;
    PERFORM FROM ai_hub_migrations LIMIT 1;
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  other := (SELECT string_agg(relname || ' (' || fault || ')', ', ' ORDER BY relname)
FROM (
  SELECT c.relname, CASE
      WHEN ours.key IS NULL AND c.relkind <> 'v' THEN 'not a view'
      WHEN ours.key IS NOT NULL AND c.relkind NOT IN ('r', 'p') THEN 'not a table'
      WHEN EXISTS (
        SELECT FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.atttypid = 'numeric'::regtype
      ) THEN 'with columns of type numeric'
      -- The key of weather sources is longer since migration 005.
      WHEN coalesce((
        SELECT string_agg(a.attname, ', ' ORDER BY k.place)
        FROM pg_index i
        CROSS JOIN unnest(i.indkey::int[]) WITH ORDINALITY AS k(attnum, place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE i.indrelid = c.oid AND i.indisprimary AND k.place <= i.indnkeyatts
      ), '') NOT IN (ours.key, ours.key || ', valid_from')
        THEN 'whose primary key is not ' || ours.key
    END AS fault
  FROM (VALUES
    ('timeseries_data', 'tenant_id, asset_id, feature_type, timestamp'),
    ('ai_features', 'tenant_id, asset_id, feature_type, timestamp'),
    ('weather_features', 'tenant_id, asset_id, timestamp, issued_at'),
    ('asset_weather_source', 'tenant_id, asset_id'),
    ('feature_exports', 'export_id'),
    ('asset_attributes', 'tenant_id, asset_id, key, valid_from'),
    ('feature_sets', 'name, version'),
    ('feature_set_defaults', 'name'),
    ('registry_revision', 'only_row'),
    ('feature_models', 'model, model_version'),
    ('feature_rollouts', 'name'),
    ('access_keys', 'key_id'),
    ('hourly_features', NULL),
    ('daily_features', NULL),
    ('forecast_basic_features', NULL),
    ('forecast_advanced_features', NULL),
    ('anomaly_detection_features', NULL)
  ) AS ours (name, key)
  JOIN pg_class c ON c.relname = ours.name
    AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
) AS found
WHERE fault IS NOT NULL);
  IF other IS NOT NULL THEN
    RAISE EXCEPTION 'This database already has relations of these names, which ai-hub did not create: %. Rename them (ALTER TABLE ... RENAME TO ...) or name another database in AI_HUB_DATABASE_URL, run ai-hub migrate, and then take their rows over with ai-hub adopt.', other;
  END IF;
END
$$;

CREATE TABLE IF NOT EXISTS ai_hub_migrations (
  number INT PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('plain', 'apache', 'timescaledb')),
  release TEXT NOT NULL,
  applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

SELECT mode, mode = 'timescaledb' AS timescaledb, mode = 'apache' AS apache
  FROM (SELECT CASE
    WHEN NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN 'plain'
    WHEN current_setting('timescaledb.license', true) = 'apache' THEN 'apache'
    ELSE 'timescaledb' END AS mode) AS found \gset

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 1) AS wanted \gset
\if :wanted
BEGIN;
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
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (1, '001_create_feature_views', '6c3bf54e478b56fa9b6fea58a690962c8b3fab711e1d0c097bcb398ab19eaced', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 2) AS wanted \gset
\if :wanted
BEGIN;
-- How long each table keeps its rows.

-- How long rows are kept (null: for ever) and how far deleting has come. Who shortens `keep` has
-- told nobody yet: `told_at` is null again until maintenance did, and it deletes only after that.
-- Of rows that were too old when they came in it tells by their own `ingested_at`.
CREATE TABLE IF NOT EXISTS ai_hub_retention (
  relation TEXT COLLATE "C" PRIMARY KEY,
  keep INTERVAL CHECK (keep > INTERVAL '0'),
  told_at TIMESTAMPTZ,
  deleted_before TIMESTAMPTZ
);

-- Declare how long a relation's rows are kept.
CREATE OR REPLACE FUNCTION ai_hub_keep(p_relation text, p_keep interval) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE ai_hub_retention
    SET keep = p_keep, told_at = CASE WHEN p_keep >= keep THEN told_at END
    WHERE relation = p_relation;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'relation: got %, expected one of %', quote_nullable(p_relation),
      (SELECT string_agg(relation, ', ' ORDER BY relation) FROM ai_hub_retention)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
END
$$;

\if :timescaledb
-- What is declared shows among the jobs as a policy. It is not scheduled: it would delete what came
-- in late without telling anybody first. And a refresh must not reach where rows were deleted: it
-- would empty the aggregate there.
CREATE OR REPLACE FUNCTION ai_hub_declare_policies() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  relation regclass := format('%I.%I', TG_TABLE_SCHEMA, NEW.relation);
  aggregate text;     -- what is computed from the relation
  bucket interval;
  most interval;      -- how far its refresh reaches where all is kept
  reach interval;
  job int;
  declared interval;
BEGIN
  SELECT job_id, (config->>'drop_after')::interval INTO job, declared
    FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_retention'
      AND hypertable_schema = TG_TABLE_SCHEMA AND hypertable_name = NEW.relation;
  IF job IS NOT NULL AND declared IS DISTINCT FROM NEW.keep THEN
    PERFORM remove_retention_policy(relation);
    job := NULL;
  END IF;
  IF job IS NULL AND NEW.keep IS NOT NULL THEN
    job := add_retention_policy(relation, NEW.keep);
  END IF;
  IF job IS NOT NULL THEN
    PERFORM alter_job(job, scheduled => false);
  END IF;

  IF NEW.relation = 'ai_features' THEN
    aggregate := 'hourly_features';
    bucket := INTERVAL '1 hour';
    most := INTERVAL '14 days';
  ELSIF NEW.relation = 'hourly_features' THEN
    aggregate := 'daily_features';
    bucket := INTERVAL '1 day';
    most := INTERVAL '15 days';
  ELSE
    RETURN NEW;
  END IF;
  reach := least(NEW.keep, most);
  SELECT (config->>'start_offset')::interval INTO declared
    FROM timescaledb_information.jobs
    WHERE proc_name = 'policy_refresh_continuous_aggregate'
      AND hypertable_schema = TG_TABLE_SCHEMA AND hypertable_name = aggregate;
  IF declared IS DISTINCT FROM reach THEN
    relation := format('%I.%I', TG_TABLE_SCHEMA, aggregate);
    PERFORM remove_continuous_aggregate_policy(relation, if_exists => true);
    -- A policy has to span two buckets; where less is kept there is nothing to refresh.
    IF reach >= 3 * bucket THEN
      PERFORM add_continuous_aggregate_policy(relation, start_offset => reach,
        end_offset => bucket, schedule_interval => bucket / 4);
    END IF;
  END IF;
  RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER ai_hub_declare_policies AFTER INSERT OR UPDATE OF keep
  ON ai_hub_retention FOR EACH ROW EXECUTE FUNCTION ai_hub_declare_policies();
\endif

INSERT INTO ai_hub_retention (relation)
  VALUES ('timeseries_data'), ('ai_features'), ('weather_features') ON CONFLICT DO NOTHING;
SELECT ai_hub_keep('timeseries_data', INTERVAL '7 days');
SELECT ai_hub_keep('ai_features', INTERVAL '90 days');
SELECT ai_hub_keep('weather_features', INTERVAL '365 days');
\if :timescaledb
INSERT INTO ai_hub_retention (relation)
  VALUES ('hourly_features'), ('daily_features') ON CONFLICT DO NOTHING;
SELECT ai_hub_keep('hourly_features', INTERVAL '365 days');
SELECT ai_hub_keep('daily_features', INTERVAL '730 days');
\endif
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (2, '002_declare_retention', 'b15d2dadce8dd1effad3c315c84bba728d765f6446d080a582b7b4ac20d4ffa0', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 3) AS wanted \gset
\if :wanted
BEGIN;
-- Means for missing values, and long windows from hourly partials.

-- The means that stand in for missing values.
CREATE OR REPLACE FUNCTION ai_hub_series_mean(
  p_tenant text, p_asset text, p_series text, p_first timestamptz, p_last timestamptz
) RETURNS float8 LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
  RETURN (ai_hub_raw_window(p_tenant, p_asset, p_series, p_first, p_last))[2];
END
$$;

-- The mean of a weather column over the closed range as it is known at its end: of each timestamp
-- the latest issue that has the column.
CREATE OR REPLACE FUNCTION ai_hub_weather_mean(
  p_tenant text, p_source text, p_column text, p_first timestamptz, p_last timestamptz
) RETURNS float8 LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  mean float8;
BEGIN
  IF p_column IS NULL OR p_column NOT IN ('temperature', 'humidity', 'solar_irradiance',
      'wind_speed', 'cloud_cover', 'precipitation') THEN
    RAISE EXCEPTION 'column: got %, expected one of temperature, humidity, solar_irradiance, '
      'wind_speed, cloud_cover, precipitation', quote_nullable(p_column)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT CASE WHEN min(value) >= -1e145 AND max(value) <= 1e145
      THEN avg(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145)
      ELSE ai_hub_mean_of(sum(value::numeric) FILTER (WHERE abs(value) > 1e145), count(*)) END
    INTO mean
    FROM (
      SELECT DISTINCT ON (timestamp) value
      FROM (
        SELECT timestamp, issued_at, CASE p_column
            WHEN 'temperature' THEN temperature
            WHEN 'humidity' THEN humidity
            WHEN 'solar_irradiance' THEN solar_irradiance
            WHEN 'wind_speed' THEN wind_speed
            WHEN 'cloud_cover' THEN cloud_cover
            WHEN 'precipitation' THEN precipitation
          END AS value
        FROM weather_features
        WHERE tenant_id = p_tenant AND asset_id = p_source
          AND timestamp >= p_first AND timestamp <= p_last AND issued_at <= p_last
      ) AS rows
      WHERE value IS NOT NULL
      ORDER BY timestamp, issued_at DESC
    ) AS known;
  RETURN mean;
END
$$;

-- How far maintenance has refreshed hourly_features, in the one row of the table: hours before
-- `done` hold every row that was there, and who writes before `announced` has to leave a row in
-- ai_hub_late. Without maintenance both stay where they are and windows are read raw.
CREATE TABLE IF NOT EXISTS ai_hub_hourly (
  announced TIMESTAMPTZ NOT NULL,
  done TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS ai_hub_hourly_one ON ai_hub_hourly ((true));
INSERT INTO ai_hub_hourly (announced, done) VALUES ('-infinity', '-infinity')
  ON CONFLICT DO NOTHING;

-- The first and last time of a series that was written behind `announced` and is not yet refreshed.
-- Every write takes a new stamp, by which maintenance sees whether the row is still what it read.
CREATE SEQUENCE IF NOT EXISTS ai_hub_late_stamp;
CREATE TABLE IF NOT EXISTS ai_hub_late (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  feature_type TEXT COLLATE "C" NOT NULL,
  first TIMESTAMPTZ NOT NULL,
  last TIMESTAMPTZ NOT NULL CHECK (first <= last),
  stamp BIGINT NOT NULL DEFAULT nextval('ai_hub_late_stamp'),
  PRIMARY KEY (tenant_id, asset_id, feature_type)
);

-- ai_hub_window: [count, mean, sample deviation, min, max, sum] over the closed range, whole hours
-- from hourly_features where these are known to be true.
\if :timescaledb
-- A part of a window: [count, sum, squared deviations, min, max], the last two infinite for an
-- empty one (float8_combine takes no array that has ever held a null). Each reads one range with
-- bounds that are parameters, so that the planner leaves out all other chunks.
CREATE OR REPLACE FUNCTION ai_hub_raw_part(
  p_tenant text, p_asset text, p_series text, p_first timestamptz, p_end timestamptz
) RETURNS float8[] LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  part float8[];
BEGIN
  SELECT fs_moments(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145)
      || ARRAY[coalesce(min(value), 'Infinity'), coalesce(max(value), '-Infinity')]
    INTO part
    FROM ai_features
    WHERE tenant_id = p_tenant AND asset_id = p_asset AND feature_type = p_series
      AND timestamp >= p_first AND timestamp < p_end;
  RETURN part;
END
$$;

CREATE OR REPLACE FUNCTION ai_hub_hourly_part(
  p_tenant text, p_asset text, p_series text, p_first timestamptz, p_end timestamptz
) RETURNS float8[] LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  part float8[];
BEGIN
  SELECT fs_moments_merge(fs_moments_of(hourly_count, hourly_avg, hourly_stddev))
      || ARRAY[coalesce(min(hourly_min), 'Infinity'), coalesce(max(hourly_max), '-Infinity')]
    INTO part
    FROM hourly_features
    WHERE tenant_id = p_tenant AND asset_id = p_asset AND feature_type = p_series
      AND bucket >= p_first AND bucket < p_end;
  RETURN part;
END
$$;

CREATE OR REPLACE FUNCTION ai_hub_merge_parts(a float8[], b float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT float8_combine(a[1:3], b[1:3]) || ARRAY[least(a[4], b[4]), greatest(a[5], b[5])]
$$;

CREATE OR REPLACE FUNCTION ai_hub_window(
  p_tenant text, p_asset text, p_series text, p_first timestamptz, p_last timestamptz
) RETURNS float8[] LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  hour CONSTANT interval := INTERVAL '1 hour';
  tick CONSTANT interval := INTERVAL '1 microsecond';
  origin CONSTANT timestamptz := TIMESTAMPTZ '2000-01-03 00:00+00';
  p_end CONSTANT timestamptz := p_last + tick;
  low timestamptz;        -- hours in [low, high) may come from hourly_features,
  high timestamptz;
  late_low timestamptz;   -- but not those in [late_low, late_high)
  late_high timestamptz;
  deleted timestamptz;
  sum_of float8[];
BEGIN
  SELECT h.done,
      (SELECT max(deleted_before) FROM ai_hub_retention
        WHERE relation IN ('ai_features', 'hourly_features'))
    INTO high, deleted
    FROM ai_hub_hourly AS h;
  -- Where raw rows were deleted an hour outlives them, but features are of what is there; and
  -- where hours were deleted, raw rows may outlive them.
  low := date_bin(hour, greatest(p_first, deleted) + (hour - tick), origin);
  high := date_bin(hour, least(p_end, high), origin);
  IF low >= high THEN
    RETURN ai_hub_raw_window(p_tenant, p_asset, p_series, p_first, p_last);
  END IF;
  SELECT date_bin(hour, first, origin), date_bin(hour, last, origin) + hour
    INTO late_low, late_high
    FROM ai_hub_late
    WHERE tenant_id = p_tenant AND asset_id = p_asset AND feature_type = p_series;
  late_low := least(greatest(late_low, low), high);
  late_high := least(greatest(late_high, late_low), high);

  sum_of := ai_hub_raw_part(p_tenant, p_asset, p_series, high, p_end);
  IF p_first < low THEN
    sum_of := ai_hub_merge_parts(sum_of,
      ai_hub_raw_part(p_tenant, p_asset, p_series, p_first, low));
  END IF;
  IF low < late_low THEN
    sum_of := ai_hub_merge_parts(sum_of,
      ai_hub_hourly_part(p_tenant, p_asset, p_series, low, late_low));
  END IF;
  IF late_low < late_high THEN
    sum_of := ai_hub_merge_parts(sum_of,
      ai_hub_raw_part(p_tenant, p_asset, p_series, late_low, late_high));
  END IF;
  IF late_high < high THEN
    sum_of := ai_hub_merge_parts(sum_of,
      ai_hub_hourly_part(p_tenant, p_asset, p_series, late_high, high));
  END IF;

  IF sum_of[1] = 0 OR sum_of[4] < -1e145 OR sum_of[5] > 1e145 THEN
    RETURN ai_hub_raw_window(p_tenant, p_asset, p_series, p_first, p_last);
  END IF;
  RETURN ARRAY[sum_of[1], float8_avg(sum_of[1:3]), float8_stddev_samp(sum_of[1:3]),
    sum_of[4], sum_of[5], sum_of[2]];
END
$$;
\else
CREATE OR REPLACE FUNCTION ai_hub_window(
  p_tenant text, p_asset text, p_series text, p_first timestamptz, p_last timestamptz
) RETURNS float8[] LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
BEGIN
  RETURN ai_hub_raw_window(p_tenant, p_asset, p_series, p_first, p_last);
END
$$;
\endif
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (3, '003_read_long_windows', '5f37fddca0caa97e4dd66f5f4f74be2889850de1009892fb3f6f4de8a3e04757', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 4) AS wanted \gset
\if :wanted
BEGIN;
-- Exact statistics: of a window whose values are all the same, and of values too large to square.

-- A mean from an exact sum; null where a double cannot hold it.
CREATE OR REPLACE FUNCTION ai_hub_mean_of(p_sum numeric, p_n bigint) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE
    WHEN abs(p_sum) < 1e-290 THEN 0
    WHEN abs(p_sum / p_n) < 1.797693134862315e308 THEN (p_sum / p_n)::float8 END
$$;

-- [count, mean, sample deviation, min, max, sum] of a window whose values are all the same: their
-- mean is that value and their deviation 0, which adding them up may miss in the last digits.
CREATE OR REPLACE FUNCTION ai_hub_flat_window(p_n float8, p_value float8, p_sum float8)
RETURNS float8[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ARRAY[p_n, p_value, CASE WHEN p_n > 1 THEN 0 END, p_value, p_value, p_sum]
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
  deviation numeric;
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
    IF lowest = highest THEN
      RETURN ai_hub_flat_window(n, lowest, m[2]);
    END IF;
    RETURN ARRAY[n, float8_avg(m), float8_stddev_samp(m), lowest, highest, m[2]];
  END IF;
  SELECT sum(value::numeric), sqrt(var_samp(value::numeric))
    INTO total, deviation
    FROM ai_features
    WHERE tenant_id = p_tenant AND asset_id = p_asset AND feature_type = p_series
      AND timestamp >= p_first AND timestamp <= p_last;
  IF lowest = highest THEN
    RETURN ai_hub_flat_window(n, lowest, ai_hub_mean_of(total, 1));
  END IF;
  RETURN ARRAY[
    n,
    ai_hub_mean_of(total, n),
    CASE WHEN deviation < 1.797693134862315e308 THEN deviation::float8 END,
    lowest,
    highest,
    ai_hub_mean_of(total, 1)
  ];
END
$$;

-- The mean of a weather column over the closed range as it is known at its end: of each timestamp
-- the latest issue that has the column.
CREATE OR REPLACE FUNCTION ai_hub_weather_mean(
  p_tenant text, p_source text, p_column text, p_first timestamptz, p_last timestamptz
) RETURNS float8 LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  mean float8;
BEGIN
  IF p_column IS NULL OR p_column NOT IN ('temperature', 'humidity', 'solar_irradiance',
      'wind_speed', 'cloud_cover', 'precipitation') THEN
    RAISE EXCEPTION 'column: got %, expected one of temperature, humidity, solar_irradiance, '
      'wind_speed, cloud_cover, precipitation', quote_nullable(p_column)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT CASE WHEN min(value) = max(value) THEN min(value)
      WHEN min(value) >= -1e145 AND max(value) <= 1e145
      THEN avg(value) FILTER (WHERE value BETWEEN -1e145 AND 1e145)
      ELSE ai_hub_mean_of(sum(value::numeric), count(*)) END
    INTO mean
    FROM (
      SELECT DISTINCT ON (timestamp) value
      FROM (
        SELECT timestamp, issued_at, CASE p_column
            WHEN 'temperature' THEN temperature
            WHEN 'humidity' THEN humidity
            WHEN 'solar_irradiance' THEN solar_irradiance
            WHEN 'wind_speed' THEN wind_speed
            WHEN 'cloud_cover' THEN cloud_cover
            WHEN 'precipitation' THEN precipitation
          END AS value
        FROM weather_features
        WHERE tenant_id = p_tenant AND asset_id = p_source
          AND timestamp >= p_first AND timestamp <= p_last AND issued_at <= p_last
      ) AS rows
      WHERE value IS NOT NULL
      ORDER BY timestamp, issued_at DESC
    ) AS known;
  RETURN mean;
END
$$;

-- ai_hub_window: the same over hours and raw rows.
\if :timescaledb
CREATE OR REPLACE FUNCTION ai_hub_window(
  p_tenant text, p_asset text, p_series text, p_first timestamptz, p_last timestamptz
) RETURNS float8[] LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
DECLARE
  hour CONSTANT interval := INTERVAL '1 hour';
  tick CONSTANT interval := INTERVAL '1 microsecond';
  origin CONSTANT timestamptz := TIMESTAMPTZ '2000-01-03 00:00+00';
  p_end CONSTANT timestamptz := p_last + tick;
  low timestamptz;        -- hours in [low, high) may come from hourly_features,
  high timestamptz;
  late_low timestamptz;   -- but not those in [late_low, late_high)
  late_high timestamptz;
  deleted timestamptz;
  sum_of float8[];
BEGIN
  SELECT h.done,
      (SELECT max(deleted_before) FROM ai_hub_retention
        WHERE relation IN ('ai_features', 'hourly_features'))
    INTO high, deleted
    FROM ai_hub_hourly AS h;
  -- Where raw rows were deleted an hour outlives them, but features are of what is there; and
  -- where hours were deleted, raw rows may outlive them.
  low := date_bin(hour, greatest(p_first, deleted) + (hour - tick), origin);
  high := date_bin(hour, least(p_end, high), origin);
  IF low >= high THEN
    RETURN ai_hub_raw_window(p_tenant, p_asset, p_series, p_first, p_last);
  END IF;
  SELECT date_bin(hour, first, origin), date_bin(hour, last, origin) + hour
    INTO late_low, late_high
    FROM ai_hub_late
    WHERE tenant_id = p_tenant AND asset_id = p_asset AND feature_type = p_series;
  late_low := least(greatest(late_low, low), high);
  late_high := least(greatest(late_high, late_low), high);

  sum_of := ai_hub_raw_part(p_tenant, p_asset, p_series, high, p_end);
  IF p_first < low THEN
    sum_of := ai_hub_merge_parts(sum_of,
      ai_hub_raw_part(p_tenant, p_asset, p_series, p_first, low));
  END IF;
  IF low < late_low THEN
    sum_of := ai_hub_merge_parts(sum_of,
      ai_hub_hourly_part(p_tenant, p_asset, p_series, low, late_low));
  END IF;
  IF late_low < late_high THEN
    sum_of := ai_hub_merge_parts(sum_of,
      ai_hub_raw_part(p_tenant, p_asset, p_series, late_low, late_high));
  END IF;
  IF late_high < high THEN
    sum_of := ai_hub_merge_parts(sum_of,
      ai_hub_hourly_part(p_tenant, p_asset, p_series, late_high, high));
  END IF;

  IF sum_of[1] = 0 OR sum_of[4] < -1e145 OR sum_of[5] > 1e145 THEN
    RETURN ai_hub_raw_window(p_tenant, p_asset, p_series, p_first, p_last);
  END IF;
  IF sum_of[4] = sum_of[5] THEN
    RETURN ai_hub_flat_window(sum_of[1], sum_of[4], sum_of[2]);
  END IF;
  RETURN ARRAY[sum_of[1], float8_avg(sum_of[1:3]), float8_stddev_samp(sum_of[1:3]),
    sum_of[4], sum_of[5], sum_of[2]];
END
$$;
\endif

\if :timescaledb
\else
-- With TimescaleDB these are kept, and would have to be computed anew from the first row on.
CREATE OR REPLACE VIEW hourly_features AS
SELECT date_bin(INTERVAL '1 hour', timestamp, TIMESTAMPTZ '2000-01-03 00:00+00') AS bucket,
  tenant_id, asset_id, feature_type,
  CASE WHEN min(value) = max(value) THEN min(value)
    WHEN min(value) >= -1e145 AND max(value) <= 1e145 THEN avg(value)
      FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS hourly_avg,
  min(value) AS hourly_min,
  max(value) AS hourly_max,
  CASE WHEN min(value) = max(value) THEN CASE WHEN count(*) > 1 THEN 0 END
    WHEN min(value) >= -1e145 AND max(value) <= 1e145 THEN stddev_samp(value)
      FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS hourly_stddev,
  count(*) AS hourly_count
FROM ai_features
GROUP BY 1, 2, 3, 4;

CREATE OR REPLACE VIEW daily_features AS
SELECT date_bin(INTERVAL '1 day', timestamp, TIMESTAMPTZ '2000-01-03 00:00+00') AS bucket,
  tenant_id, asset_id, feature_type,
  CASE WHEN min(value) = max(value) THEN min(value)
    WHEN min(value) >= -1e145 AND max(value) <= 1e145 THEN avg(value)
      FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS daily_avg,
  min(value) AS daily_min,
  max(value) AS daily_max,
  CASE WHEN min(value) = max(value) THEN CASE WHEN count(*) > 1 THEN 0 END
    WHEN min(value) >= -1e145 AND max(value) <= 1e145 THEN stddev_samp(value)
      FILTER (WHERE value BETWEEN -1e145 AND 1e145) END AS daily_stddev,
  count(*) AS daily_count
FROM ai_features
GROUP BY 1, 2, 3, 4;
\endif

-- The feature sets at every observation; 005 has the one with weather.
CREATE OR REPLACE VIEW forecast_basic_features AS
SELECT timestamp, tenant_id, asset_id, feature_type, value,
  -- The hour as far as it is known at the timestamp.
  CASE WHEN min(value) OVER in_hour = max(value) OVER in_hour
    THEN min(value) OVER in_hour
    WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_hour = 0
    THEN avg(value) FILTER (WHERE abs(value) <= 1e145) OVER in_hour
    ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
      date_bin(INTERVAL '1 hour', timestamp, TIMESTAMPTZ '2000-01-03 00:00+00'), timestamp))[2]
    END AS hourly_avg,
  extract(hour FROM timestamp AT TIME ZONE 'UTC')::int AS hour_of_day,
  extract(isodow FROM timestamp AT TIME ZONE 'UTC')::int - 1 AS day_of_week,
  (extract(isodow FROM timestamp AT TIME ZONE 'UTC') >= 6)::int AS is_weekend,
  last_value(value) OVER at_1h AS lag_1h,
  last_value(value) OVER at_24h AS lag_24h,
  CASE WHEN min(value) OVER in_24h = max(value) OVER in_24h
    THEN min(value) OVER in_24h
    WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
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

CREATE OR REPLACE VIEW anomaly_detection_features AS
SELECT timestamp, tenant_id, asset_id, feature_type, value,
  extract(hour FROM timestamp AT TIME ZONE 'UTC')::int AS hour_of_day,
  extract(isodow FROM timestamp AT TIME ZONE 'UTC')::int - 1 AS day_of_week,
  CASE WHEN min(value) OVER in_24h = max(value) OVER in_24h
    THEN min(value) OVER in_24h
    WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
    THEN avg(value) FILTER (WHERE abs(value) <= 1e145) OVER in_24h
    ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
      timestamp - INTERVAL '24 hours', timestamp))[2] END AS historical_avg_24h,
  CASE WHEN min(value) OVER in_24h = max(value) OVER in_24h
    THEN CASE WHEN count(*) OVER in_24h > 1 THEN 0 END
    WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
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
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (4, '004_compute_exactly', 'ae4760e6f57e9a6b16712d37752dc79cb19fa5f30378efecdffad1ca82fc71a0', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 5) AS wanted \gset
\if :wanted
BEGIN;
-- From when on an asset takes its weather from which source.

-- A mapping holds from `valid_from` on, until the next one of its asset; without a source the asset
-- has its own rows again. A mapping of earlier releases holds always.
ALTER TABLE asset_weather_source
  ADD COLUMN IF NOT EXISTS valid_from TIMESTAMPTZ NOT NULL DEFAULT '0001-01-01 00:00+00'
    CHECK (valid_from BETWEEN '0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00'),
  ALTER COLUMN source_id DROP NOT NULL;
-- A table that was there before the first migration may call its key anything.
DO $$
BEGIN
  EXECUTE (
    SELECT format('ALTER TABLE asset_weather_source DROP CONSTRAINT %I', conname)
    FROM pg_constraint WHERE conrelid = 'asset_weather_source'::regclass AND contype = 'p'
  );
END
$$;
-- With the source in it, who reads whose weather is found in the index alone.
ALTER TABLE asset_weather_source
  ADD PRIMARY KEY (tenant_id, asset_id, valid_from) INCLUDE (source_id);

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
    CASE WHEN min(value) OVER in_24h = max(value) OVER in_24h
      THEN min(value) OVER in_24h
      WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
      THEN avg(value) FILTER (WHERE abs(value) <= 1e145) OVER in_24h
      ELSE (ai_hub_raw_window(tenant_id, asset_id, feature_type,
        timestamp - INTERVAL '24 hours', timestamp))[2] END AS rolling_avg_24h,
    CASE WHEN min(value) OVER in_24h = max(value) OVER in_24h
      THEN CASE WHEN count(*) OVER in_24h > 1 THEN 0 END
      WHEN count(*) FILTER (WHERE abs(value) > 1e145) OVER in_24h = 0
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
LEFT JOIN LATERAL (
  SELECT s.source_id
  FROM asset_weather_source AS s
  WHERE s.tenant_id = f.tenant_id AND s.asset_id = f.asset_id AND s.valid_from <= f.timestamp
  ORDER BY s.valid_from DESC
  LIMIT 1
) AS m ON true
LEFT JOIN LATERAL (
  SELECT w.temperature
  FROM weather_features AS w
  WHERE w.tenant_id = f.tenant_id AND w.asset_id = coalesce(m.source_id, f.asset_id)
    AND w.timestamp <= f.timestamp AND w.timestamp > f.timestamp - INTERVAL '24 hours'
    AND w.issued_at <= f.timestamp AND w.temperature IS NOT NULL
  ORDER BY (w.issued_at >= w.timestamp AND w.timestamp > f.timestamp - INTERVAL '1 hour') DESC,
    w.timestamp DESC, w.issued_at DESC
  LIMIT 1
) AS t ON true
LEFT JOIN LATERAL (
  SELECT w.humidity
  FROM weather_features AS w
  WHERE w.tenant_id = f.tenant_id AND w.asset_id = coalesce(m.source_id, f.asset_id)
    AND w.timestamp <= f.timestamp AND w.timestamp > f.timestamp - INTERVAL '24 hours'
    AND w.issued_at <= f.timestamp AND w.humidity IS NOT NULL
  ORDER BY (w.issued_at >= w.timestamp AND w.timestamp > f.timestamp - INTERVAL '1 hour') DESC,
    w.timestamp DESC, w.issued_at DESC
  LIMIT 1
) AS h ON true;
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (5, '005_map_weather_over_time', '3f321386fdb89c1ba09d8ca8bc8d7598b0116d2d7a9fcf9b7f2c31ec9cf82fda', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 6) AS wanted \gset
\if :wanted
BEGIN;
-- Which export took the place of another one's file.

ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS replaced_by UUID;

-- By hash, as a path may be longer than a tree takes.
CREATE INDEX IF NOT EXISTS feature_exports_in_place
  ON feature_exports USING hash (storage_path) WHERE status = 'completed' AND replaced_by IS NULL;
CREATE INDEX IF NOT EXISTS feature_exports_under_way
  ON feature_exports (heartbeat_at) WHERE status = 'processing';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (6, '006_replace_exports', 'd4bc2458191511d55397b6b49d3c2748eb3fdcf90efbd71b5bae768eabfb74bf', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 7) AS wanted \gset
\if :wanted
BEGIN;
-- What assets have besides readings: capacity, area, timezone ...

-- From `valid_from` on, until the next row of its key, an attribute of an asset is a number or a
-- text; neither of them ends it.
CREATE TABLE IF NOT EXISTS asset_attributes (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  valid_from TIMESTAMPTZ NOT NULL DEFAULT '0001-01-01 00:00+00'
    CHECK (valid_from BETWEEN '0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00'),
  number DOUBLE PRECISION CHECK (number NOT IN ('NaN', 'Infinity', '-Infinity')),
  text TEXT COLLATE "C",
  CHECK (number IS NULL OR text IS NULL),
  PRIMARY KEY (tenant_id, asset_id, key, valid_from)
);
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (7, '007_keep_attributes', '0c0eed3907597caf8a9aa482213655248433b42f5cc5410e2599085435ed81ed', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 8) AS wanted \gset
\if :wanted
BEGIN;
-- The registry: what was applied, which version a name alone means, and how often it has changed.

CREATE TABLE IF NOT EXISTS feature_sets (
  name TEXT COLLATE "C" NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  state TEXT NOT NULL CHECK (state IN ('active', 'retired')),
  fingerprint TEXT NOT NULL,
  semantics INTEGER NOT NULL,
  document JSON NOT NULL,                   -- as it was applied: its text is kept
  applied_at TIMESTAMPTZ NOT NULL,
  applied_by TEXT NOT NULL,
  revision BIGINT NOT NULL,                 -- of the registry, since which the version is there
  PRIMARY KEY (name, version)
);

CREATE TABLE IF NOT EXISTS feature_set_defaults (
  name TEXT COLLATE "C" PRIMARY KEY,
  version INTEGER NOT NULL
);

-- One row, which every change of the registry raises in its transaction.
CREATE TABLE IF NOT EXISTS registry_revision (
  only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
  revision BIGINT NOT NULL
);
INSERT INTO registry_revision (revision) VALUES (0) ON CONFLICT DO NOTHING;
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (8, '008_registry', '0eba29e05bb466b4f6979fc4bf2ba313955a81cdf4d754e25cf1ad660ebfa792', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 9) AS wanted \gset
\if :wanted
BEGIN;
-- How many rows of an export are outside their range, by feature; null where none is.

ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS violations JSON;
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (9, '009_count_violations', 'f2428f012d96c00aa7bf503a615baca592dce83d83a26fc628a5f1f5372c6552', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 10) AS wanted \gset
\if :wanted
BEGIN;
-- Models that are bound to a version of a feature set, and rollouts of one version after another.

CREATE TABLE IF NOT EXISTS feature_models (
  model TEXT COLLATE "C" NOT NULL,
  model_version INTEGER NOT NULL CHECK (model_version >= 1),
  feature_set TEXT COLLATE "C" NOT NULL,
  set_version INTEGER NOT NULL CHECK (set_version >= 1),
  fingerprint TEXT NOT NULL,                -- of the version, as it was bound
  policy TEXT NOT NULL,                     -- for missing values
  bound_at TIMESTAMPTZ NOT NULL,
  bound_by TEXT NOT NULL,
  PRIMARY KEY (model, model_version)
);

CREATE TABLE IF NOT EXISTS feature_rollouts (
  name TEXT COLLATE "C" PRIMARY KEY,
  from_version INTEGER NOT NULL,
  to_version INTEGER NOT NULL,
  share INTEGER NOT NULL CHECK (share BETWEEN 0 AND 10000),  -- of ten thousand entities
  begun_at TIMESTAMPTZ NOT NULL,
  begun_by TEXT NOT NULL
);
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (10, '010_models', '102776214558f49ef786366b281ad9fce318425d582ee6b1018a4b5c64be90a9', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 11) AS wanted \gset
\if :wanted
BEGIN;
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
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (11, '011_comment', 'b6e70d816fa918d5b8d30f051ddb7a3ac094c8ff5989a14858c4faa2507d48a7', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 12) AS wanted \gset
\if :wanted
BEGIN;
-- Roles that see the rows of some tenants alone.

CREATE TABLE IF NOT EXISTS ai_hub_tenants (
  role TEXT COLLATE "C" NOT NULL,
  tenant_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (role, tenant_id)
);
COMMENT ON TABLE ai_hub_tenants IS 'Which tenants a role sees through views of its own.';
COMMENT ON COLUMN ai_hub_tenants.role IS 'The role, and the schema that its views are in';
COMMENT ON COLUMN ai_hub_tenants.tenant_id IS 'A tenant that it sees';

-- Let a role read what is a tenant's, and what was granted before; gives the names it may read.
--
-- The role gets a schema of its name, which stands first in its search path: `ai_features` means
-- its own rows there. Views are barriers: no condition of the reader is asked about other rows.
-- Functions that read tables run as the owner and look at the tenant first. The views of feature
-- sets are those of this schema over again, on the role's tables and functions.
CREATE OR REPLACE FUNCTION ai_hub_grant_tenant(p_role text, p_tenant text) RETURNS SETOF text
LANGUAGE plpgsql AS $grant$
DECLARE
  home text := current_schema();
  path text := current_setting('search_path');
  mine text;          -- an array of the tenants, as a literal
  name text;
  definition text;
  fn record;
BEGIN
  IF coalesce(p_tenant, '') = '' THEN
    RAISE EXCEPTION 'tenant: got %, expected the id of a tenant', quote_nullable(p_tenant)
      USING ERRCODE = 'invalid_parameter_value';
  ELSIF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = p_role) THEN
    RAISE EXCEPTION 'role: got %, expected a role of this server. Make it: CREATE ROLE % LOGIN;',
      quote_nullable(p_role), quote_ident(p_role) USING ERRCODE = 'invalid_parameter_value';
  ELSIF pg_has_role(p_role, (SELECT relowner FROM pg_class
      WHERE oid = format('%I.ai_features', home)::regclass), 'MEMBER') THEN
    RAISE EXCEPTION 'role: got %, which owns the tables or is a superuser and sees all tenants. '
      'Name another role.', quote_literal(p_role) USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT string_agg(format('%I', relname), ', ' ORDER BY relname) INTO name
    FROM pg_class
    WHERE relnamespace = quote_ident(home)::regnamespace AND relkind IN ('r', 'v')
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id')
      AND has_table_privilege(p_role, oid, 'SELECT');
  IF name IS NOT NULL THEN
    RAISE EXCEPTION 'role: got %, which may read the rows of all tenants in % already. Take that '
      'from it: REVOKE SELECT ON % FROM % (or from PUBLIC, or from a role that it is a member of);',
      quote_literal(p_role), name, name, quote_ident(p_role)
      USING ERRCODE = 'invalid_parameter_value';
  ELSIF EXISTS (SELECT FROM pg_namespace
      WHERE nspname = p_role AND (nspowner <> current_user::regrole
        OR has_schema_privilege(p_role, oid, 'CREATE'))) OR p_role = home THEN
    RAISE EXCEPTION 'role: got %, but a schema of that name belongs to somebody else, or the role '
      'may create things in it. Name another role.', quote_literal(p_role)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  INSERT INTO ai_hub_tenants VALUES (p_role, p_tenant) ON CONFLICT DO NOTHING;
  SELECT quote_literal(array_agg(tenant_id ORDER BY tenant_id)::text) INTO mine
    FROM ai_hub_tenants WHERE role = p_role;
  EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', p_role);
  EXECUTE format('COMMENT ON SCHEMA %I IS %L', p_role, 'What ' || p_role || ' sees of ai-hub');
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', p_role, p_role);

  FOREACH name IN ARRAY ARRAY['timeseries_data', 'ai_features', 'weather_features',
      'asset_weather_source', 'asset_attributes', 'feature_exports', 'hourly_features',
      'daily_features'] LOOP
    EXECUTE format('CREATE OR REPLACE VIEW %I.%I WITH (security_barrier) AS '
      'SELECT * FROM %I.%I WHERE tenant_id = ANY (%s::text[])', p_role, name, home, name, mine);
  END LOOP;

  FOR fn IN
    SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments,
      pg_get_function_identity_arguments(p.oid) AS types, pg_get_function_result(p.oid) AS result,
      (SELECT string_agg('$' || n, ', ' ORDER BY n) FROM generate_series(1, p.pronargs) AS n) AS given
    FROM pg_proc p
    WHERE p.pronamespace = quote_ident(home)::regnamespace
      AND p.proname IN ('get_lag_features', 'get_rolling_features', 'ai_hub_raw_window')
  LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE sql '
      'SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp AS %L',
      p_role, fn.proname, fn.arguments, fn.result, home,
      format('SELECT found.* FROM %I.%I(%s) AS found WHERE $1 = ANY (%s::text[])',
        home, fn.proname, fn.given, mine));
    EXECUTE format('REVOKE ALL ON FUNCTION %I.%I(%s) FROM PUBLIC', p_role, fn.proname, fn.types);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %I.%I(%s) TO %I', p_role, fn.proname, fn.types, p_role);
    RETURN NEXT fn.proname;
  END LOOP;

  FOREACH name IN ARRAY ARRAY['forecast_basic_features', 'forecast_advanced_features',
      'anomaly_detection_features'] LOOP
    PERFORM set_config('search_path', quote_ident(home), true);
    definition := pg_get_viewdef(format('%I.%I', home, name)::regclass);
    PERFORM set_config('search_path', quote_ident(p_role) || ', ' || quote_ident(home), true);
    EXECUTE format('CREATE OR REPLACE VIEW %I.%I WITH (security_barrier) AS %s', p_role, name, definition);
    PERFORM set_config('search_path', path, true);
  END LOOP;
  EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', p_role, p_role);
  RETURN QUERY SELECT relname::text FROM pg_class
    WHERE relnamespace = quote_ident(p_role)::regnamespace AND relkind = 'v' ORDER BY relname;
END
$grant$;
COMMENT ON FUNCTION ai_hub_grant_tenant IS
  'Let a role read the rows of a tenant, and of no other, through views in a schema of its name.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (12, '012_grant_tenants', 'fac61190b6de797ee69adfd480820149b4de43c9ae21e697dd473cedc6130b87', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 13) AS wanted \gset
\if :wanted
BEGIN;
-- How far the rows of older tables were taken over, so that it can go on where it stopped.

CREATE TABLE IF NOT EXISTS ai_hub_adoptions (
  source TEXT COLLATE "C" NOT NULL,
  part TEXT COLLATE "C" NOT NULL,
  block BIGINT NOT NULL,
  place INTEGER NOT NULL,
  rows BIGINT NOT NULL,
  duplicates BIGINT NOT NULL,
  rejected BIGINT NOT NULL,
  finished_at TIMESTAMPTZ,
  PRIMARY KEY (source, part)
);
COMMENT ON TABLE ai_hub_adoptions IS 'How far ai-hub adopt has taken over the rows of older tables.';
COMMENT ON COLUMN ai_hub_adoptions.source IS 'The server, the database and the table';
COMMENT ON COLUMN ai_hub_adoptions.part IS 'The table itself, or one of its chunks or partitions';
COMMENT ON COLUMN ai_hub_adoptions.block IS 'Up to which block it is read';
COMMENT ON COLUMN ai_hub_adoptions.place IS 'Up to which row of that block';
COMMENT ON COLUMN ai_hub_adoptions.rows IS 'How many rows that were';
COMMENT ON COLUMN ai_hub_adoptions.duplicates IS 'Rows that gave way to a later one of the same key';
COMMENT ON COLUMN ai_hub_adoptions.rejected IS 'Rows that were refused';
COMMENT ON COLUMN ai_hub_adoptions.finished_at IS 'When all that it has was read; it may get more';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (13, '013_adopt', 'f6404be6758e10a96052518281bb1adc0efecd4b80a8c75b1a30343f4b89cc77', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 14) AS wanted \gset
\if :wanted
BEGIN;
-- When `ai-hub retention set` said how long a relation keeps its rows: what settings say counts until
-- then. Null where it never did.

ALTER TABLE ai_hub_retention ADD COLUMN IF NOT EXISTS set_at TIMESTAMPTZ;
COMMENT ON COLUMN ai_hub_retention.set_at IS
  'When `ai-hub retention set` said it; until then settings may.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (14, '014_keep_what_was_said', 'bbf49c03f6fbd0519928cd107325d401bd283854e2b1f5f81a2b6a3ac49be886', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 15) AS wanted \gset
\if :wanted
BEGIN;
-- What every write to ai_features leaves behind, by ai-hub or by SQL: which series there are and on
-- which days, and (with hourly partials) which of them changed behind the refreshed hours.

-- Days, so that a series of every minute is noted once a day. The last one is exact unless `shrunk`:
-- then rows of it were deleted, and whether others are left is to be asked.
CREATE TABLE IF NOT EXISTS ai_hub_series (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  feature_type TEXT COLLATE "C" NOT NULL,
  first_day TIMESTAMPTZ NOT NULL,
  last_day TIMESTAMPTZ NOT NULL CHECK (first_day <= last_day),
  shrunk BOOLEAN NOT NULL DEFAULT false,
  PRIMARY KEY (tenant_id, asset_id, feature_type)
) WITH (fillfactor = 70);
COMMENT ON TABLE ai_hub_series IS 'The series of each asset, and the days of their first and last rows.';
COMMENT ON COLUMN ai_hub_series.tenant_id IS 'The tenant';
COMMENT ON COLUMN ai_hub_series.asset_id IS 'The asset';
COMMENT ON COLUMN ai_hub_series.feature_type IS 'The series';
COMMENT ON COLUMN ai_hub_series.first_day IS 'No row is before it; UTC';
COMMENT ON COLUMN ai_hub_series.last_day IS 'No row is after it, and one is in it unless shrunk; UTC';
COMMENT ON COLUMN ai_hub_series.shrunk IS 'Whether rows of the last day were deleted since it was noted';

CREATE OR REPLACE FUNCTION ai_hub_note_rows() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  -- In the order of the key, so that two writers never wait for each other.
  INSERT INTO ai_hub_series AS s (tenant_id, asset_id, feature_type, first_day, last_day)
    SELECT n.tenant_id, n.asset_id, n.feature_type, n.first_day, n.last_day
    FROM (
      SELECT tenant_id, asset_id, feature_type,
        date_bin(INTERVAL '1 day', min(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00') AS first_day,
        date_bin(INTERVAL '1 day', max(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00') AS last_day
      FROM written
      GROUP BY tenant_id, asset_id, feature_type
    ) AS n
    LEFT JOIN ai_hub_series AS o ON o.tenant_id = n.tenant_id AND o.asset_id = n.asset_id
      AND o.feature_type = n.feature_type
    WHERE o.first_day IS NULL OR n.first_day < o.first_day OR n.last_day > o.last_day
      OR (o.shrunk AND n.last_day = o.last_day)
    ORDER BY n.tenant_id, n.asset_id, n.feature_type
  ON CONFLICT (tenant_id, asset_id, feature_type) DO UPDATE
    SET first_day = least(s.first_day, excluded.first_day),
      last_day = greatest(s.last_day, excluded.last_day),
      shrunk = s.shrunk AND s.last_day > excluded.last_day;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_rows IS 'Notes in ai_hub_series which series were written, and their days.';

CREATE OR REPLACE FUNCTION ai_hub_note_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE ai_hub_series SET shrunk = true
    WHERE tenant_id = OLD.tenant_id AND asset_id = OLD.asset_id
      AND feature_type = OLD.feature_type AND last_day <= OLD.timestamp AND NOT shrunk;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_gone IS 'Notes in ai_hub_series that a row of the last day was deleted.';

CREATE OR REPLACE FUNCTION ai_hub_note_empty() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  DELETE FROM ai_hub_series;
  -- No hour is known to be true.
  UPDATE ai_hub_hourly SET done = '-infinity';
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_empty IS 'Notes that ai_features was emptied.';

\if :timescaledb
-- A writer leaves in ai_hub_late the first and last time that it touched behind `announced`: the
-- protocol of ai_hub_hourly, in the transaction of who writes.
CREATE OR REPLACE FUNCTION ai_hub_announced() RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- In this order: with the lock we see what was announced before we got it. Who reads a snapshot
  -- of before does not.
  PERFORM pg_advisory_xact_lock_shared(7248003001);
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RETURN 'infinity';
  END IF;
  RETURN (SELECT announced FROM ai_hub_hourly);
END
$$;
COMMENT ON FUNCTION ai_hub_announced IS 'Before which time a writer has to leave a row in ai_hub_late.';

CREATE OR REPLACE FUNCTION ai_hub_note_late() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  known timestamptz;
BEGIN
  IF NOT EXISTS (SELECT FROM written) THEN
    RETURN NULL;
  END IF;
  known := ai_hub_announced();
  INSERT INTO ai_hub_late AS l (tenant_id, asset_id, feature_type, first, last, stamp)
    SELECT n.*, nextval('ai_hub_late_stamp') FROM (
      SELECT tenant_id, asset_id, feature_type, min(timestamp), max(timestamp)
      FROM written WHERE timestamp < known
      GROUP BY tenant_id, asset_id, feature_type
      ORDER BY tenant_id, asset_id, feature_type
    ) AS n
  ON CONFLICT (tenant_id, asset_id, feature_type) DO UPDATE
    SET first = least(l.first, excluded.first), last = greatest(l.last, excluded.last),
      stamp = excluded.stamp;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_late IS 'Notes in ai_hub_late what was written behind the refreshed hours.';

CREATE OR REPLACE FUNCTION ai_hub_note_late_gone() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  -- Of many rows of a series the first says it for those between, but not for another transaction.
  IF EXISTS (SELECT FROM ai_hub_late
      WHERE tenant_id = OLD.tenant_id AND asset_id = OLD.asset_id
        AND feature_type = OLD.feature_type AND first <= OLD.timestamp AND last >= OLD.timestamp
        AND xmin = pg_current_xact_id()::xid) THEN
    RETURN NULL;
  END IF;
  IF OLD.timestamp < ai_hub_announced() THEN
    INSERT INTO ai_hub_late AS l (tenant_id, asset_id, feature_type, first, last)
      VALUES (OLD.tenant_id, OLD.asset_id, OLD.feature_type, OLD.timestamp, OLD.timestamp)
    ON CONFLICT (tenant_id, asset_id, feature_type) DO UPDATE
      SET first = least(l.first, excluded.first), last = greatest(l.last, excluded.last),
        stamp = excluded.stamp;
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_late_gone IS
  'Notes in ai_hub_late that a row behind the refreshed hours was deleted.';
\endif

-- They run as their owner, whatever the writer may do; so no relation of the writer's own may stand
-- in for one of these.
DO $$
DECLARE
  one regprocedure;
BEGIN
  FOR one IN
    SELECT oid::regprocedure FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname, 'ai_hub_note_')
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp',
      one, current_schema());
    -- A plan for one row is used for many: it takes the index.
    EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', one);
  END LOOP;
END
$$;

CREATE OR REPLACE TRIGGER ai_hub_note_inserted AFTER INSERT ON ai_features
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_rows();
CREATE OR REPLACE TRIGGER ai_hub_note_moved_in AFTER UPDATE ON ai_features
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_rows();
CREATE OR REPLACE TRIGGER ai_hub_note_moved_out
  AFTER UPDATE OF tenant_id, asset_id, feature_type, timestamp ON ai_features
  FOR EACH ROW EXECUTE FUNCTION ai_hub_note_gone();
CREATE OR REPLACE TRIGGER ai_hub_note_deleted AFTER DELETE ON ai_features
  FOR EACH ROW EXECUTE FUNCTION ai_hub_note_gone();
CREATE OR REPLACE TRIGGER ai_hub_note_truncated AFTER TRUNCATE ON ai_features
  FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_empty();
COMMENT ON TRIGGER ai_hub_note_inserted ON ai_features IS 'Notes the series that were written.';
COMMENT ON TRIGGER ai_hub_note_moved_in ON ai_features IS 'Notes the series that were written.';
COMMENT ON TRIGGER ai_hub_note_moved_out ON ai_features IS 'Notes the series that lost a row.';
COMMENT ON TRIGGER ai_hub_note_deleted ON ai_features IS 'Notes the series that lost a row.';
COMMENT ON TRIGGER ai_hub_note_truncated ON ai_features IS 'Notes that all series lost their rows.';
\if :timescaledb
CREATE OR REPLACE TRIGGER ai_hub_late_inserted AFTER INSERT ON ai_features
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_late();
CREATE OR REPLACE TRIGGER ai_hub_late_updated AFTER UPDATE ON ai_features
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_late();
CREATE OR REPLACE TRIGGER ai_hub_late_moved_out
  AFTER UPDATE OF tenant_id, asset_id, feature_type, timestamp ON ai_features
  FOR EACH ROW EXECUTE FUNCTION ai_hub_note_late_gone();
CREATE OR REPLACE TRIGGER ai_hub_late_deleted AFTER DELETE ON ai_features
  FOR EACH ROW EXECUTE FUNCTION ai_hub_note_late_gone();
COMMENT ON TRIGGER ai_hub_late_inserted ON ai_features IS 'Notes what is behind the refreshed hours.';
COMMENT ON TRIGGER ai_hub_late_updated ON ai_features IS 'Notes what is behind the refreshed hours.';
COMMENT ON TRIGGER ai_hub_late_moved_out ON ai_features IS 'Notes what is behind the refreshed hours.';
COMMENT ON TRIGGER ai_hub_late_deleted ON ai_features IS 'Notes what is behind the refreshed hours.';
\endif

-- Nobody writes to the table from the first trigger on until this is committed.
INSERT INTO ai_hub_series (tenant_id, asset_id, feature_type, first_day, last_day)
SELECT tenant_id, asset_id, feature_type,
  date_bin(INTERVAL '1 day', min(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00'),
  date_bin(INTERVAL '1 day', max(timestamp), TIMESTAMPTZ '2000-01-03 00:00+00')
FROM ai_features
GROUP BY tenant_id, asset_id, feature_type
ON CONFLICT DO NOTHING;
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (15, '015_note_what_is_written', '28475211df8d0995bf5804b9e97102112e13fe105856d5257d32770ae0240166', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 16) AS wanted \gset
\if :wanted
BEGIN;
-- What caches outside the database are owed: whatever was written and not marked there before its
-- commit. Who connects to such a cache drops what is named here before it answers from there.

-- How long a vector lives at most in a cache that processes share; 0 as long as nobody has one.
CREATE TABLE IF NOT EXISTS ai_hub_shared_cache (
  one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
  seconds INTEGER NOT NULL
);

INSERT INTO ai_hub_shared_cache (seconds) VALUES (0) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS ai_hub_debts (
  id TEXT COLLATE "C" PRIMARY KEY,
  owed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  notice TEXT NOT NULL                      -- who wrote, and which entities it touched
);

CREATE INDEX IF NOT EXISTS ai_hub_debts_by_time ON ai_hub_debts (owed_at);

COMMENT ON TABLE ai_hub_shared_cache IS 'Whether processes share a cache outside the database; one row.';
COMMENT ON COLUMN ai_hub_shared_cache.one IS 'Always true: there is one row.';
COMMENT ON COLUMN ai_hub_shared_cache.seconds IS
  'How long a vector lives there, and 300 s; 0 as long as nobody had one.';

COMMENT ON TABLE ai_hub_debts IS
  'Writes that a shared cache was not told of: who connects to one drops there what they touched.';
COMMENT ON COLUMN ai_hub_debts.id IS 'Of this notice alone.';
COMMENT ON COLUMN ai_hub_debts.owed_at IS 'When it was written; later writes delete what is too old to matter.';
COMMENT ON COLUMN ai_hub_debts.notice IS
  'JSON: who wrote, and the pairs of tenant and asset that it touched; null for any.';
COMMENT ON INDEX ai_hub_debts_by_time IS 'Debts by age: those that are too old are deleted.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (16, '016_shared_caches', 'dad1e2a4ca204cf8ccc566146e8540bd1a5316465c12179e6b63ca66da3cc7f1', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 17) AS wanted \gset
\if :wanted
BEGIN;
-- Access keys, of which only a digest is kept.

CREATE TABLE IF NOT EXISTS access_keys (
  key_id TEXT COLLATE "C" PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,                     -- of the whole key, in hexadecimal
  tenants TEXT,                             -- a list in JSON; null: every tenant
  scopes TEXT NOT NULL,                     -- words of read, write, export, admin
  created_at TIMESTAMPTZ NOT NULL,
  created_by TEXT NOT NULL,
  expires_at TIMESTAMPTZ,                   -- null: it does not end by itself
  revoked_at TIMESTAMPTZ                    -- null: it was not revoked
);

COMMENT ON TABLE access_keys IS 'Access keys: who may ask servers on this database for what.';
COMMENT ON COLUMN access_keys.key_id IS 'The part of a key that is no secret: letters and digits.';
COMMENT ON COLUMN access_keys.name IS 'What people call it, and what records name.';
COMMENT ON COLUMN access_keys.sha256 IS 'SHA-256 of the whole key, in hexadecimal; the key itself is kept nowhere.';
COMMENT ON COLUMN access_keys.tenants IS 'JSON: the tenants that it is for; null for every tenant.';
COMMENT ON COLUMN access_keys.scopes IS 'What it allows: read, write, export, admin, with blanks between.';
COMMENT ON COLUMN access_keys.created_at IS 'When it was made.';
COMMENT ON COLUMN access_keys.created_by IS 'Who made it.';
COMMENT ON COLUMN access_keys.expires_at IS 'When it ends by itself; null: never.';
COMMENT ON COLUMN access_keys.revoked_at IS 'When it was revoked; null: it was not.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (17, '017_access_keys', 'a7189f1ca0aeb2642d8e618f85d598a75953fe0edfc7e965f2b667c480fd1549', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 18) AS wanted \gset
\if :wanted
BEGIN;
-- Values of a statement that cannot have parameters (COPY): settings of its transaction. They are
-- called immutable, although they are not, so that the planner takes them for constants: what reads
-- them is planned each time it runs.
CREATE OR REPLACE FUNCTION ai_hub_given(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT current_setting('ai_hub.' || name) $$;
COMMENT ON FUNCTION ai_hub_given IS 'A text that ai-hub gives a statement of an export.';

CREATE OR REPLACE FUNCTION ai_hub_given_texts(name text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT current_setting('ai_hub.' || name)::text[] $$;
COMMENT ON FUNCTION ai_hub_given_texts IS 'Texts that ai-hub gives a statement of an export.';

CREATE OR REPLACE FUNCTION ai_hub_given_time(name text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT current_setting('ai_hub.' || name)::timestamptz $$;
COMMENT ON FUNCTION ai_hub_given_time IS 'A time that ai-hub gives a statement of an export.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (18, '018_give_values', 'e7001129c935391b8c4dd5c89e4a276e3fa9f2e6a6915aba7ce09bf419de97c6', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 19) AS wanted \gset
\if :wanted
BEGIN;
-- The audit log: who changed what, when, and how many. Rows are added in the transaction of what they
-- tell of, are never changed, and go when they are older than AI_HUB_RETENTION_AUDIT.

CREATE TABLE IF NOT EXISTS ai_hub_audit (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  done_at TIMESTAMPTZ NOT NULL,
  who TEXT NOT NULL,
  who_id TEXT NOT NULL,
  what TEXT NOT NULL,
  tenant_id TEXT COLLATE "C",               -- null: all tenants
  count BIGINT NOT NULL,
  details TEXT NOT NULL                     -- JSON
);
CREATE INDEX IF NOT EXISTS ai_hub_audit_by_time ON ai_hub_audit (done_at, id);
CREATE INDEX IF NOT EXISTS ai_hub_audit_by_tenant ON ai_hub_audit (tenant_id, done_at, id);

COMMENT ON TABLE ai_hub_audit IS 'The audit log: who changed what, when, and how many.';
COMMENT ON COLUMN ai_hub_audit.id IS 'Of this record alone.';
COMMENT ON COLUMN ai_hub_audit.done_at IS 'When it was done, by the clock of who did it.';
COMMENT ON COLUMN ai_hub_audit.who IS 'Who did it: the name of a key, or of a user of the system.';
COMMENT ON COLUMN ai_hub_audit.who_id IS
  'What tells them from others of the name: the id of the key, or without keys the address.';
COMMENT ON COLUMN ai_hub_audit.what IS 'What was done, mostly by the name of its command.';
COMMENT ON COLUMN ai_hub_audit.tenant_id IS 'Of which tenant; null for what is about all of them.';
COMMENT ON COLUMN ai_hub_audit.count IS 'How many rows, or how much of what else, that changed.';
COMMENT ON COLUMN ai_hub_audit.details IS 'JSON: what else there is to know of it.';
COMMENT ON SEQUENCE ai_hub_audit_id_seq IS 'Ids of records of the audit log.';
COMMENT ON INDEX ai_hub_audit_by_time IS 'Records by time: the newest first, and those to be deleted.';
COMMENT ON INDEX ai_hub_audit_by_tenant IS 'Records of a tenant by time.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (19, '019_audit', 'c36057e83a5e540093f17804ceb533352f4fe1462b5fbedbeafaab5daa5758f6', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 20) AS wanted \gset
\if :wanted
BEGIN;
-- For drift: what the values of a feature set were in training sets, and what was served of it.

CREATE TABLE IF NOT EXISTS ai_hub_baselines (
  baseline_id TEXT COLLATE "C" PRIMARY KEY,
  tenant_id TEXT COLLATE "C" NOT NULL,
  feature_set TEXT COLLATE "C" NOT NULL,
  version INTEGER NOT NULL,
  fingerprint TEXT COLLATE "C" NOT NULL,
  of_export BOOLEAN NOT NULL,
  start_time TIMESTAMPTZ NOT NULL,
  end_time TIMESTAMPTZ NOT NULL,
  made_at TIMESTAMPTZ NOT NULL,
  row_count BIGINT NOT NULL,
  document BYTEA NOT NULL
);

CREATE INDEX IF NOT EXISTS ai_hub_baselines_by_set
  ON ai_hub_baselines (tenant_id, feature_set, version, made_at);

CREATE TABLE IF NOT EXISTS ai_hub_served (
  tenant_id TEXT COLLATE "C" NOT NULL,
  feature_set TEXT COLLATE "C" NOT NULL,
  version INTEGER NOT NULL,
  fingerprint TEXT COLLATE "C" NOT NULL,
  hour TIMESTAMPTZ NOT NULL,
  added_at TIMESTAMPTZ NOT NULL,
  document BYTEA NOT NULL,
  PRIMARY KEY (tenant_id, feature_set, version, fingerprint, hour)
);

CREATE INDEX IF NOT EXISTS ai_hub_served_by_age ON ai_hub_served (added_at);

COMMENT ON TABLE ai_hub_baselines IS
  'What values the features of a set had in an export, or in a time of history: what drift is seen against.';
COMMENT ON COLUMN ai_hub_baselines.baseline_id IS 'The export that it was kept with, or an id of its own.';
COMMENT ON COLUMN ai_hub_baselines.tenant_id IS 'Whose data it is of.';
COMMENT ON COLUMN ai_hub_baselines.feature_set IS 'The name of the set.';
COMMENT ON COLUMN ai_hub_baselines.version IS 'Its version.';
COMMENT ON COLUMN ai_hub_baselines.fingerprint IS 'Of the definitions of that version.';
COMMENT ON COLUMN ai_hub_baselines.of_export IS 'Whether it was kept with an export.';
COMMENT ON COLUMN ai_hub_baselines.start_time IS 'From when its rows are.';
COMMENT ON COLUMN ai_hub_baselines.end_time IS 'Until when its rows are.';
COMMENT ON COLUMN ai_hub_baselines.made_at IS 'When it was made.';
COMMENT ON COLUMN ai_hub_baselines.row_count IS 'Of how many rows it is.';
COMMENT ON COLUMN ai_hub_baselines.document IS
  'Quantiles, missing and violation shares and counts of each feature and hour of week, as ai-hub writes them.';
COMMENT ON INDEX ai_hub_baselines_by_set IS 'Baselines of a version, by age.';

COMMENT ON TABLE ai_hub_served IS
  'Sketches of the vectors that were served, of each hour; servers add to them, and delete old ones.';
COMMENT ON COLUMN ai_hub_served.tenant_id IS 'Whose vectors they were.';
COMMENT ON COLUMN ai_hub_served.feature_set IS 'The name of the set.';
COMMENT ON COLUMN ai_hub_served.version IS 'Its version.';
COMMENT ON COLUMN ai_hub_served.fingerprint IS 'Of the definitions of that version.';
COMMENT ON COLUMN ai_hub_served.hour IS 'When the hour begins that the vectors are as of.';
COMMENT ON COLUMN ai_hub_served.added_at IS 'When a server last added to it.';
COMMENT ON COLUMN ai_hub_served.document IS 'The sketch of that hour, as ai-hub writes it.';
COMMENT ON INDEX ai_hub_served_by_age IS 'Sketches by age: those that are too old are deleted.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (20, '020_keep_what_drifts', 'd4e29e3b772ec7f3a2867a95849adf8763fee505f58b368308a434968c95427b', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 21) AS wanted \gset
\if :wanted
BEGIN;
-- Hours and days go to the columnstore sooner.

\if :timescaledb
-- A chunk goes there as a whole. In chunks of ten weeks, which is what an aggregate gets, hours stayed
-- rows for up to a hundred days, a dozen times as large. Chunks that are there stay as they are.
SELECT set_chunk_time_interval('hourly_features', INTERVAL '14 days');
-- Refreshes by time reach back 15 days: what is older is corrected series by series.
SELECT alter_job(job_id, config => config || '{"compress_after": "16 days"}')
  FROM timescaledb_information.jobs
  WHERE proc_name = 'policy_compression' AND hypertable_schema = current_schema()
    AND hypertable_name IN ('hourly_features', 'daily_features');
\endif
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (21, '021_keep_hours_small', 'c8f5d3c5944372f639ad00ca249bccad703e63a57da1d1be3fe8fe994305566e', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 22) AS wanted \gset
\if :wanted
BEGIN;
-- Exports as jobs that last: what it takes to make one again, how far it is, and who has it.

ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS request JSON;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS rows_done BIGINT;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS rows_expected BIGINT;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS rows_per_second DOUBLE PRECISION;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS deaths INTEGER;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS cancelled_by TEXT;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS worker TEXT;

CREATE INDEX IF NOT EXISTS feature_exports_pending
  ON feature_exports (started_at) WHERE status = 'pending';

COMMENT ON COLUMN feature_exports.request IS
  'What else it takes to make the export again; null where it cannot be.';
COMMENT ON COLUMN feature_exports.rows_done IS 'How many rows were written, as of heartbeat_at.';
COMMENT ON COLUMN feature_exports.rows_expected IS 'How many rows there will be, where it is known.';
COMMENT ON COLUMN feature_exports.rows_per_second IS 'How fast it goes, as of heartbeat_at.';
COMMENT ON COLUMN feature_exports.deaths IS 'How many processes did not live to its end.';
COMMENT ON COLUMN feature_exports.cancelled_by IS 'Who asked for its end.';
COMMENT ON COLUMN feature_exports.worker IS 'The process that has it; null while it waits for one.';
COMMENT ON INDEX feature_exports_pending IS 'Exports that wait, by age.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (22, '022_keep_jobs', '2f0085495e1c8696134ca49edfbc416440979fbeac5c5c3095771d9eebc1153b', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 23) AS wanted \gset
\if :wanted
BEGIN;
-- The archive: what is sealed, before when rows were taken out, and what was taken back of them since.

CREATE TABLE IF NOT EXISTS ai_hub_archive_layers (
  layer_id TEXT COLLATE "C" PRIMARY KEY,
  number BIGINT NOT NULL UNIQUE,
  kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('observations', 'weather')),
  tenant_id TEXT COLLATE "C" NOT NULL,
  start_time TIMESTAMPTZ NOT NULL,
  end_time TIMESTAMPTZ NOT NULL,
  url TEXT COLLATE "C" NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  state TEXT COLLATE "C" NOT NULL CHECK (state IN ('writing', 'written', 'verified')),
  row_count BIGINT NOT NULL,
  size_bytes BIGINT NOT NULL,
  checksum TEXT COLLATE "C" NOT NULL,
  manifest BYTEA NOT NULL
);
CREATE INDEX IF NOT EXISTS ai_hub_archive_layers_by_tenant
  ON ai_hub_archive_layers (tenant_id, number);

CREATE TABLE IF NOT EXISTS ai_hub_archive (
  kind TEXT COLLATE "C" PRIMARY KEY CHECK (kind IN ('observations', 'weather')),
  dropped_before TIMESTAMPTZ NOT NULL
);
-- It has two times and nothing of any tenant. Who reads rows has to know whether they are all, also
-- a role that was granted its tables before there was an archive.
GRANT SELECT ON ai_hub_archive TO PUBLIC;

CREATE TABLE IF NOT EXISTS ai_hub_archive_gone (
  timestamp TIMESTAMPTZ NOT NULL,
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  feature_type TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (tenant_id, asset_id, feature_type, timestamp)
);

COMMENT ON TABLE ai_hub_archive_layers IS
  'Days of history that ai-hub archive sealed as Parquet: the newest layer of a day holds.';
COMMENT ON COLUMN ai_hub_archive_layers.layer_id IS 'What the names of its files end with.';
COMMENT ON COLUMN ai_hub_archive_layers.number IS 'Later layers have greater ones.';
COMMENT ON COLUMN ai_hub_archive_layers.kind IS 'observations or weather.';
COMMENT ON COLUMN ai_hub_archive_layers.tenant_id IS 'Whose rows it has.';
COMMENT ON COLUMN ai_hub_archive_layers.start_time IS 'The begin of its first day.';
COMMENT ON COLUMN ai_hub_archive_layers.end_time IS 'The end of its last day.';
COMMENT ON COLUMN ai_hub_archive_layers.url IS 'Below which its files are.';
COMMENT ON COLUMN ai_hub_archive_layers.created_at IS 'When it was begun.';
COMMENT ON COLUMN ai_hub_archive_layers.state IS
  'writing; written; verified: compared with the rows of the database.';
COMMENT ON COLUMN ai_hub_archive_layers.row_count IS 'How many rows it has.';
COMMENT ON COLUMN ai_hub_archive_layers.size_bytes IS 'How large its files are.';
COMMENT ON COLUMN ai_hub_archive_layers.checksum IS 'The SHA-256 of its manifest.';
COMMENT ON COLUMN ai_hub_archive_layers.manifest IS 'Its manifest, compressed.';
COMMENT ON INDEX ai_hub_archive_layers_by_tenant IS 'Layers of a tenant, by age.';

COMMENT ON TABLE ai_hub_archive IS 'Before when rows of a kind are in the archive alone.';
COMMENT ON COLUMN ai_hub_archive.kind IS 'observations or weather.';
COMMENT ON COLUMN ai_hub_archive.dropped_before IS
  'Rows about earlier times were taken out by ai-hub archive --drop; what is there of them came in late.';

COMMENT ON TABLE ai_hub_archive_gone IS
  'Archived observations that a late write called unusable, until the archive says so itself.';
COMMENT ON COLUMN ai_hub_archive_gone.timestamp IS 'Its time.';
COMMENT ON COLUMN ai_hub_archive_gone.tenant_id IS 'Whose it is.';
COMMENT ON COLUMN ai_hub_archive_gone.asset_id IS 'Of which asset.';
COMMENT ON COLUMN ai_hub_archive_gone.feature_type IS 'Of which series.';
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (23, '023_seal_history', '910de57826f7e22d2d8b95ff714a9884680b4e021a8dec1b4c2eb7cdaca04153', :'mode', '0.2.0');
COMMIT;
\endif

SELECT NOT EXISTS (SELECT FROM ai_hub_migrations WHERE number = 24) AS wanted \gset
\if :wanted
BEGIN;
-- Where rows leave by DELETE alone, many do at a time: that a series lost some is noted once for each
-- statement. TimescaleDB drops chunks, has no such trigger where it has a columnstore, and keeps the
-- one that looks at each row.

\if :timescaledb
\else
CREATE OR REPLACE FUNCTION ai_hub_note_deletion() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  -- In the order of the key, so that two who delete never wait for each other.
  WITH lost AS (
    SELECT s.tenant_id, s.asset_id, s.feature_type
    FROM (
      SELECT tenant_id, asset_id, feature_type, max(timestamp) AS last
      FROM deleted GROUP BY tenant_id, asset_id, feature_type
    ) AS d
    JOIN ai_hub_series AS s ON s.tenant_id = d.tenant_id AND s.asset_id = d.asset_id
      AND s.feature_type = d.feature_type
    WHERE s.last_day <= d.last AND NOT s.shrunk
    ORDER BY s.tenant_id, s.asset_id, s.feature_type
    FOR UPDATE OF s
  )
  UPDATE ai_hub_series AS s SET shrunk = true FROM lost AS l
    WHERE s.tenant_id = l.tenant_id AND s.asset_id = l.asset_id
      AND s.feature_type = l.feature_type;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION ai_hub_note_deletion IS
  'Notes in ai_hub_series that rows of the last day were deleted.';
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION ai_hub_note_deletion() SET search_path = pg_catalog, %I, pg_temp',
    current_schema());
END
$$;
ALTER FUNCTION ai_hub_note_deletion() SET enable_seqscan = off;

CREATE OR REPLACE TRIGGER ai_hub_note_deleted AFTER DELETE ON ai_features
  REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION ai_hub_note_deletion();
COMMENT ON TRIGGER ai_hub_note_deleted ON ai_features IS 'Notes the series that lost a row.';
\endif
INSERT INTO ai_hub_migrations (number, name, checksum, mode, release) VALUES (24, '024_note_deletions_at_once', '9730d87c50f8519868d67d1ced76a70db2dc61287d5a3545ad75fb50155024a4', :'mode', '0.2.0');
COMMIT;
\endif

BEGIN;
\if :timescaledb
\endif
UPDATE ai_hub_retention SET keep = keep;
COMMIT;

SELECT pg_advisory_unlock(7248003002);
