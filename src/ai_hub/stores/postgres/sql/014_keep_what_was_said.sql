-- When `ai-hub retention set` said how long a relation keeps its rows: what settings say counts until
-- then. Null where it never did.

ALTER TABLE ai_hub_retention ADD COLUMN IF NOT EXISTS set_at TIMESTAMPTZ;
COMMENT ON COLUMN ai_hub_retention.set_at IS
  'When `ai-hub retention set` said it; until then settings may.';
