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
