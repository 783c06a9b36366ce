-- What assets have besides readings: capacity, area, timezone ...

-- From `valid_from` on, until the next row of its key, an attribute of an asset is a number or a
-- text; neither of them ends it.
CREATE TABLE IF NOT EXISTS asset_attributes (
  tenant_id TEXT COLLATE "C" NOT NULL,
  asset_id TEXT COLLATE "C" NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  valid_from TIMESTAMPTZ NOT NULL DEFAULT '0001-01-01 00:00+00'
    CHECK (valid_from BETWEEN '0001-01-01 00:00+00' AND '9999-12-31 23:59:59.999999+00'),
  number DOUBLE PRECISION CHECK (number NOT IN ('NaN', 'Infinity', '-Infinity')),
  text TEXT COLLATE "C",
  CHECK (number IS NULL OR text IS NULL),
  PRIMARY KEY (tenant_id, asset_id, key, valid_from)
);
