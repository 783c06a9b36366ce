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
