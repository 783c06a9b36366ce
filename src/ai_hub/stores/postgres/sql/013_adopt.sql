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
