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
