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
