-- The audit log: who changed what, when, and how many. Rows are added in the transaction of what they
-- tell of, are never changed, and go when they are older than AI_HUB_RETENTION_AUDIT.

CREATE TABLE IF NOT EXISTS ai_hub_audit (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  done_at TIMESTAMPTZ NOT NULL,
  who TEXT NOT NULL,
  who_id TEXT NOT NULL,
  what TEXT NOT NULL,
  tenant_id TEXT COLLATE "C",               -- null: all tenants
  count BIGINT NOT NULL,
  details TEXT NOT NULL                     -- JSON
);
CREATE INDEX IF NOT EXISTS ai_hub_audit_by_time ON ai_hub_audit (done_at, id);
CREATE INDEX IF NOT EXISTS ai_hub_audit_by_tenant ON ai_hub_audit (tenant_id, done_at, id);

COMMENT ON TABLE ai_hub_audit IS 'The audit log: who changed what, when, and how many.';
COMMENT ON COLUMN ai_hub_audit.id IS 'Of this record alone.';
COMMENT ON COLUMN ai_hub_audit.done_at IS 'When it was done, by the clock of who did it.';
COMMENT ON COLUMN ai_hub_audit.who IS 'Who did it: the name of a key, or of a user of the system.';
COMMENT ON COLUMN ai_hub_audit.who_id IS
  'What tells them from others of the name: the id of the key, or without keys the address.';
COMMENT ON COLUMN ai_hub_audit.what IS 'What was done, mostly by the name of its command.';
COMMENT ON COLUMN ai_hub_audit.tenant_id IS 'Of which tenant; null for what is about all of them.';
COMMENT ON COLUMN ai_hub_audit.count IS 'How many rows, or how much of what else, that changed.';
COMMENT ON COLUMN ai_hub_audit.details IS 'JSON: what else there is to know of it.';
COMMENT ON SEQUENCE ai_hub_audit_id_seq IS 'Ids of records of the audit log.';
COMMENT ON INDEX ai_hub_audit_by_time IS 'Records by time: the newest first, and those to be deleted.';
COMMENT ON INDEX ai_hub_audit_by_tenant IS 'Records of a tenant by time.';
