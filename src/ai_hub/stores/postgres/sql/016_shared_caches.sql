-- What caches outside the database are owed: whatever was written and not marked there before its
-- commit. Who connects to such a cache drops what is named here before it answers from there.

-- How long a vector lives at most in a cache that processes share; 0 as long as nobody has one.
CREATE TABLE IF NOT EXISTS ai_hub_shared_cache (
  one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
  seconds INTEGER NOT NULL
);

INSERT INTO ai_hub_shared_cache (seconds) VALUES (0) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS ai_hub_debts (
  id TEXT COLLATE "C" PRIMARY KEY,
  owed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
  notice TEXT NOT NULL                      -- who wrote, and which entities it touched
);

CREATE INDEX IF NOT EXISTS ai_hub_debts_by_time ON ai_hub_debts (owed_at);

COMMENT ON TABLE ai_hub_shared_cache IS 'Whether processes share a cache outside the database; one row.';
COMMENT ON COLUMN ai_hub_shared_cache.one IS 'Always true: there is one row.';
COMMENT ON COLUMN ai_hub_shared_cache.seconds IS
  'How long a vector lives there, and 300 s; 0 as long as nobody had one.';

COMMENT ON TABLE ai_hub_debts IS
  'Writes that a shared cache was not told of: who connects to one drops there what they touched.';
COMMENT ON COLUMN ai_hub_debts.id IS 'Of this notice alone.';
COMMENT ON COLUMN ai_hub_debts.owed_at IS 'When it was written; later writes delete what is too old to matter.';
COMMENT ON COLUMN ai_hub_debts.notice IS
  'JSON: who wrote, and the pairs of tenant and asset that it touched; null for any.';
COMMENT ON INDEX ai_hub_debts_by_time IS 'Debts by age: those that are too old are deleted.';
