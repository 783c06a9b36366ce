-- The embedded store's tables. Keys are kept unique by the one writer: DuckDB's own primary keys
-- would cost about ten times the space of the bare table.
CREATE TABLE IF NOT EXISTS timeseries_data (
    timestamp    TIMESTAMPTZ NOT NULL,
    tenant_id    VARCHAR     NOT NULL,
    asset_id     VARCHAR     NOT NULL,
    feature_type VARCHAR     NOT NULL,
    value        DOUBLE      NOT NULL,
    quality      INTEGER     NOT NULL
);
-- What features read: the usable rows.
CREATE VIEW IF NOT EXISTS ai_features AS
SELECT timestamp, tenant_id, asset_id, feature_type, value FROM timeseries_data WHERE quality >= 1;

CREATE TABLE IF NOT EXISTS weather_features (
    timestamp        TIMESTAMPTZ NOT NULL,
    issued_at        TIMESTAMPTZ NOT NULL,
    tenant_id        VARCHAR     NOT NULL,
    asset_id         VARCHAR     NOT NULL,
    temperature      DOUBLE,
    humidity         DOUBLE,
    solar_irradiance DOUBLE,
    wind_speed       DOUBLE,
    cloud_cover      DOUBLE,
    precipitation    DOUBLE
);

-- From `valid_from` (null: always) on, until its next mapping, an asset reads the weather of a
-- source (null: its own).
CREATE TABLE IF NOT EXISTS asset_weather_source (
    tenant_id  VARCHAR NOT NULL,
    asset_id   VARCHAR NOT NULL,
    source_id  VARCHAR,
    valid_from TIMESTAMPTZ
);
-- For files of earlier releases. Without a default: where DuckDB starts after a crash, it does not
-- have the functions yet that would make one.
ALTER TABLE asset_weather_source ALTER COLUMN source_id DROP NOT NULL;
ALTER TABLE asset_weather_source ADD COLUMN IF NOT EXISTS valid_from TIMESTAMPTZ;

-- From `valid_from` on, until the next row of its key, an attribute of an asset is a number or a
-- text; neither of them ends it.
CREATE TABLE IF NOT EXISTS asset_attributes (
    tenant_id  VARCHAR     NOT NULL,
    asset_id   VARCHAR     NOT NULL,
    key        VARCHAR     NOT NULL,
    valid_from TIMESTAMPTZ NOT NULL,
    number     DOUBLE,
    text       VARCHAR
);

CREATE TABLE IF NOT EXISTS feature_exports (
    export_id           VARCHAR     NOT NULL,
    tenant_id           VARCHAR     NOT NULL,
    feature_set         VARCHAR     NOT NULL,
    feature_set_version INTEGER,
    status              VARCHAR     NOT NULL,
    storage_path        VARCHAR     NOT NULL,
    start_time          TIMESTAMPTZ NOT NULL,
    end_time            TIMESTAMPTZ NOT NULL,
    asset_ids           VARCHAR[],
    started_at          TIMESTAMPTZ NOT NULL,
    completed_at        TIMESTAMPTZ,
    row_count           BIGINT      NOT NULL,
    file_size_bytes     BIGINT      NOT NULL,
    error               VARCHAR,
    checksum            VARCHAR,
    replaced_by         VARCHAR,
    violations          VARCHAR,
    request             VARCHAR,
    rows_done           BIGINT,
    rows_expected       BIGINT,
    rows_per_second     DOUBLE,
    deaths              INTEGER,
    cancelled_by        VARCHAR,
    heartbeat_at        TIMESTAMPTZ
);
-- For files of earlier releases.
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS checksum VARCHAR;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS replaced_by VARCHAR;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS violations VARCHAR;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS request VARCHAR;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS rows_done BIGINT;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS rows_expected BIGINT;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS rows_per_second DOUBLE;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS deaths INTEGER;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS cancelled_by VARCHAR;
ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS heartbeat_at TIMESTAMPTZ;

-- The registry: what was applied, which version a name alone means, the models that are bound to a
-- version, the rollouts under way, and how often it has changed. There is at most one row of a name
-- and version, of a name with a default or a rollout, and of a revision.
CREATE TABLE IF NOT EXISTS feature_sets (
    name        VARCHAR     NOT NULL,
    version     INTEGER     NOT NULL,
    state       VARCHAR     NOT NULL,
    fingerprint VARCHAR     NOT NULL,
    semantics   INTEGER     NOT NULL,
    document    VARCHAR     NOT NULL,
    applied_at  TIMESTAMPTZ NOT NULL,
    applied_by  VARCHAR     NOT NULL,
    revision    BIGINT      NOT NULL
);
CREATE TABLE IF NOT EXISTS feature_set_defaults (
    name    VARCHAR NOT NULL,
    version INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS feature_models (
    model         VARCHAR     NOT NULL,
    model_version INTEGER     NOT NULL,
    feature_set   VARCHAR     NOT NULL,
    set_version   INTEGER     NOT NULL,
    fingerprint   VARCHAR     NOT NULL,
    policy        VARCHAR     NOT NULL,
    bound_at      TIMESTAMPTZ NOT NULL,
    bound_by      VARCHAR     NOT NULL
);
CREATE TABLE IF NOT EXISTS feature_rollouts (
    name         VARCHAR     NOT NULL,
    from_version INTEGER     NOT NULL,
    to_version   INTEGER     NOT NULL,
    share        INTEGER     NOT NULL,
    begun_at     TIMESTAMPTZ NOT NULL,
    begun_by     VARCHAR     NOT NULL
);
CREATE TABLE IF NOT EXISTS access_keys (
    key_id     VARCHAR     NOT NULL,
    name       VARCHAR     NOT NULL,
    sha256     VARCHAR     NOT NULL,
    tenants    VARCHAR,
    scopes     VARCHAR     NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    created_by VARCHAR     NOT NULL,
    expires_at TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ
);
CREATE TABLE IF NOT EXISTS registry_revision (
    revision BIGINT NOT NULL
);

-- For drift: there is at most one row of a baseline, and of an hour of what was served.
CREATE TABLE IF NOT EXISTS ai_hub_baselines (
    baseline_id VARCHAR     NOT NULL,
    tenant_id   VARCHAR     NOT NULL,
    feature_set VARCHAR     NOT NULL,
    version     INTEGER     NOT NULL,
    fingerprint VARCHAR     NOT NULL,
    of_export   BOOLEAN     NOT NULL,
    start_time  TIMESTAMPTZ NOT NULL,
    end_time    TIMESTAMPTZ NOT NULL,
    made_at     TIMESTAMPTZ NOT NULL,
    row_count   BIGINT      NOT NULL,
    document    BLOB        NOT NULL
);
CREATE TABLE IF NOT EXISTS ai_hub_served (
    tenant_id   VARCHAR     NOT NULL,
    feature_set VARCHAR     NOT NULL,
    version     INTEGER     NOT NULL,
    fingerprint VARCHAR     NOT NULL,
    hour        TIMESTAMPTZ NOT NULL,
    added_at    TIMESTAMPTZ NOT NULL,
    document    BLOB        NOT NULL
);

-- The audit log: who changed what, when, and how many; `details` in JSON. No two rows have one id.
CREATE TABLE IF NOT EXISTS ai_hub_audit (
    id        BIGINT      NOT NULL,
    done_at   TIMESTAMPTZ NOT NULL,
    who       VARCHAR     NOT NULL,
    who_id    VARCHAR     NOT NULL,
    what      VARCHAR     NOT NULL,
    tenant_id VARCHAR,
    count     BIGINT      NOT NULL,
    details   VARCHAR     NOT NULL
);

-- The archive: its layers, and before when rows of a kind were taken out.
CREATE TABLE IF NOT EXISTS ai_hub_archive_layers (
    layer_id   VARCHAR     NOT NULL,
    number     BIGINT      NOT NULL,
    kind       VARCHAR     NOT NULL,
    tenant_id  VARCHAR     NOT NULL,
    start_time TIMESTAMPTZ NOT NULL,
    end_time   TIMESTAMPTZ NOT NULL,
    url        VARCHAR     NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    state      VARCHAR     NOT NULL,
    row_count  BIGINT      NOT NULL,
    size_bytes BIGINT      NOT NULL,
    checksum   VARCHAR     NOT NULL,
    manifest   BLOB        NOT NULL
);
CREATE TABLE IF NOT EXISTS ai_hub_archive (
    kind           VARCHAR     NOT NULL,
    dropped_before TIMESTAMPTZ NOT NULL
);
