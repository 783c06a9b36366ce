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
