-- The registry: what was applied, which version a name alone means, and how often it has changed.

CREATE TABLE IF NOT EXISTS feature_sets (
  name TEXT COLLATE "C" NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  state TEXT NOT NULL CHECK (state IN ('active', 'retired')),
  fingerprint TEXT NOT NULL,
  semantics INTEGER NOT NULL,
  document JSON NOT NULL,                   -- as it was applied: its text is kept
  applied_at TIMESTAMPTZ NOT NULL,
  applied_by TEXT NOT NULL,
  revision BIGINT NOT NULL,                 -- of the registry, since which the version is there
  PRIMARY KEY (name, version)
);

CREATE TABLE IF NOT EXISTS feature_set_defaults (
  name TEXT COLLATE "C" PRIMARY KEY,
  version INTEGER NOT NULL
);

-- One row, which every change of the registry raises in its transaction.
CREATE TABLE IF NOT EXISTS registry_revision (
  only_row BOOLEAN PRIMARY KEY DEFAULT true CHECK (only_row),
  revision BIGINT NOT NULL
);
INSERT INTO registry_revision (revision) VALUES (0) ON CONFLICT DO NOTHING;
