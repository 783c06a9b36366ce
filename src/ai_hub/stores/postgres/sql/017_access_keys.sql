-- Access keys, of which only a digest is kept.

CREATE TABLE IF NOT EXISTS access_keys (
  key_id TEXT COLLATE "C" PRIMARY KEY,
  name TEXT NOT NULL,
  sha256 TEXT NOT NULL,                     -- of the whole key, in hexadecimal
  tenants TEXT,                             -- a list in JSON; null: every tenant
  scopes TEXT NOT NULL,                     -- words of read, write, export, admin
  created_at TIMESTAMPTZ NOT NULL,
  created_by TEXT NOT NULL,
  expires_at TIMESTAMPTZ,                   -- null: it does not end by itself
  revoked_at TIMESTAMPTZ                    -- null: it was not revoked
);

COMMENT ON TABLE access_keys IS 'Access keys: who may ask servers on this database for what.';
COMMENT ON COLUMN access_keys.key_id IS 'The part of a key that is no secret: letters and digits.';
COMMENT ON COLUMN access_keys.name IS 'What people call it, and what records name.';
COMMENT ON COLUMN access_keys.sha256 IS 'SHA-256 of the whole key, in hexadecimal; the key itself is kept nowhere.';
COMMENT ON COLUMN access_keys.tenants IS 'JSON: the tenants that it is for; null for every tenant.';
COMMENT ON COLUMN access_keys.scopes IS 'What it allows: read, write, export, admin, with blanks between.';
COMMENT ON COLUMN access_keys.created_at IS 'When it was made.';
COMMENT ON COLUMN access_keys.created_by IS 'Who made it.';
COMMENT ON COLUMN access_keys.expires_at IS 'When it ends by itself; null: never.';
COMMENT ON COLUMN access_keys.revoked_at IS 'When it was revoked; null: it was not.';
