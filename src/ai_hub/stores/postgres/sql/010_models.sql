-- Models that are bound to a version of a feature set, and rollouts of one version after another.

CREATE TABLE IF NOT EXISTS feature_models (
  model TEXT COLLATE "C" NOT NULL,
  model_version INTEGER NOT NULL CHECK (model_version >= 1),
  feature_set TEXT COLLATE "C" NOT NULL,
  set_version INTEGER NOT NULL CHECK (set_version >= 1),
  fingerprint TEXT NOT NULL,                -- of the version, as it was bound
  policy TEXT NOT NULL,                     -- for missing values
  bound_at TIMESTAMPTZ NOT NULL,
  bound_by TEXT NOT NULL,
  PRIMARY KEY (model, model_version)
);

CREATE TABLE IF NOT EXISTS feature_rollouts (
  name TEXT COLLATE "C" PRIMARY KEY,
  from_version INTEGER NOT NULL,
  to_version INTEGER NOT NULL,
  share INTEGER NOT NULL CHECK (share BETWEEN 0 AND 10000),  -- of ten thousand entities
  begun_at TIMESTAMPTZ NOT NULL,
  begun_by TEXT NOT NULL
);
