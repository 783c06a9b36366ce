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
