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
