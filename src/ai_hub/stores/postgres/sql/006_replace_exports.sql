-- Which export took the place of another one's file.

ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS replaced_by UUID;

-- By hash, as a path may be longer than a tree takes.
CREATE INDEX IF NOT EXISTS feature_exports_in_place
  ON feature_exports USING hash (storage_path) WHERE status = 'completed' AND replaced_by IS NULL;
CREATE INDEX IF NOT EXISTS feature_exports_under_way
  ON feature_exports (heartbeat_at) WHERE status = 'processing';
