-- Roles that see the rows of some tenants alone.

CREATE TABLE IF NOT EXISTS ai_hub_tenants (
  role TEXT COLLATE "C" NOT NULL,
  tenant_id TEXT COLLATE "C" NOT NULL,
  PRIMARY KEY (role, tenant_id)
);
COMMENT ON TABLE ai_hub_tenants IS 'Which tenants a role sees through views of its own.';
COMMENT ON COLUMN ai_hub_tenants.role IS 'The role, and the schema that its views are in';
COMMENT ON COLUMN ai_hub_tenants.tenant_id IS 'A tenant that it sees';

-- Let a role read what is a tenant's, and what was granted before; gives the names it may read.
--
-- The role gets a schema of its name, which stands first in its search path: `ai_features` means
-- its own rows there. Views are barriers: no condition of the reader is asked about other rows.
-- Functions that read tables run as the owner and look at the tenant first. The views of feature
-- sets are those of this schema over again, on the role's tables and functions.
CREATE OR REPLACE FUNCTION ai_hub_grant_tenant(p_role text, p_tenant text) RETURNS SETOF text
LANGUAGE plpgsql AS $grant$
DECLARE
  home text := current_schema();
  path text := current_setting('search_path');
  mine text;          -- an array of the tenants, as a literal
  name text;
  definition text;
  fn record;
BEGIN
  IF coalesce(p_tenant, '') = '' THEN
    RAISE EXCEPTION 'tenant: got %, expected the id of a tenant', quote_nullable(p_tenant)
      USING ERRCODE = 'invalid_parameter_value';
  ELSIF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = p_role) THEN
    RAISE EXCEPTION 'role: got %, expected a role of this server. Make it: CREATE ROLE % LOGIN;',
      quote_nullable(p_role), quote_ident(p_role) USING ERRCODE = 'invalid_parameter_value';
  ELSIF pg_has_role(p_role, (SELECT relowner FROM pg_class
      WHERE oid = format('%I.ai_features', home)::regclass), 'MEMBER') THEN
    RAISE EXCEPTION 'role: got %, which owns the tables or is a superuser and sees all tenants. '
      'Name another role.', quote_literal(p_role) USING ERRCODE = 'invalid_parameter_value';
  END IF;
  SELECT string_agg(format('%I', relname), ', ' ORDER BY relname) INTO name
    FROM pg_class
    WHERE relnamespace = quote_ident(home)::regnamespace AND relkind IN ('r', 'v')
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id')
      AND has_table_privilege(p_role, oid, 'SELECT');
  IF name IS NOT NULL THEN
    RAISE EXCEPTION 'role: got %, which may read the rows of all tenants in % already. Take that '
      'from it: REVOKE SELECT ON % FROM % (or from PUBLIC, or from a role that it is a member of);',
      quote_literal(p_role), name, name, quote_ident(p_role)
      USING ERRCODE = 'invalid_parameter_value';
  ELSIF EXISTS (SELECT FROM pg_namespace
      WHERE nspname = p_role AND (nspowner <> current_user::regrole
        OR has_schema_privilege(p_role, oid, 'CREATE'))) OR p_role = home THEN
    RAISE EXCEPTION 'role: got %, but a schema of that name belongs to somebody else, or the role '
      'may create things in it. Name another role.', quote_literal(p_role)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  INSERT INTO ai_hub_tenants VALUES (p_role, p_tenant) ON CONFLICT DO NOTHING;
  SELECT quote_literal(array_agg(tenant_id ORDER BY tenant_id)::text) INTO mine
    FROM ai_hub_tenants WHERE role = p_role;
  EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', p_role);
  EXECUTE format('COMMENT ON SCHEMA %I IS %L', p_role, 'What ' || p_role || ' sees of ai-hub');
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', p_role, p_role);

  FOREACH name IN ARRAY ARRAY['timeseries_data', 'ai_features', 'weather_features',
      'asset_weather_source', 'asset_attributes', 'feature_exports', 'hourly_features',
      'daily_features'] LOOP
    EXECUTE format('CREATE OR REPLACE VIEW %I.%I WITH (security_barrier) AS '
      'SELECT * FROM %I.%I WHERE tenant_id = ANY (%s::text[])', p_role, name, home, name, mine);
  END LOOP;

  FOR fn IN
    SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments,
      pg_get_function_identity_arguments(p.oid) AS types, pg_get_function_result(p.oid) AS result,
      (SELECT string_agg('$' || n, ', ' ORDER BY n) FROM generate_series(1, p.pronargs) AS n) AS given
    FROM pg_proc p
    WHERE p.pronamespace = quote_ident(home)::regnamespace
      AND p.proname IN ('get_lag_features', 'get_rolling_features', 'ai_hub_raw_window')
  LOOP
    EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE sql '
      'SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp AS %L',
      p_role, fn.proname, fn.arguments, fn.result, home,
      format('SELECT found.* FROM %I.%I(%s) AS found WHERE $1 = ANY (%s::text[])',
        home, fn.proname, fn.given, mine));
    EXECUTE format('REVOKE ALL ON FUNCTION %I.%I(%s) FROM PUBLIC', p_role, fn.proname, fn.types);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %I.%I(%s) TO %I', p_role, fn.proname, fn.types, p_role);
    RETURN NEXT fn.proname;
  END LOOP;

  FOREACH name IN ARRAY ARRAY['forecast_basic_features', 'forecast_advanced_features',
      'anomaly_detection_features'] LOOP
    PERFORM set_config('search_path', quote_ident(home), true);
    definition := pg_get_viewdef(format('%I.%I', home, name)::regclass);
    PERFORM set_config('search_path', quote_ident(p_role) || ', ' || quote_ident(home), true);
    EXECUTE format('CREATE OR REPLACE VIEW %I.%I WITH (security_barrier) AS %s', p_role, name, definition);
    PERFORM set_config('search_path', path, true);
  END LOOP;
  EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I', p_role, p_role);
  RETURN QUERY SELECT relname::text FROM pg_class
    WHERE relnamespace = quote_ident(p_role)::regnamespace AND relkind = 'v' ORDER BY relname;
END
$grant$;
COMMENT ON FUNCTION ai_hub_grant_tenant IS
  'Let a role read the rows of a tenant, and of no other, through views in a schema of its name.';
