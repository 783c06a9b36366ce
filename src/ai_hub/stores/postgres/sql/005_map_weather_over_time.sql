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
