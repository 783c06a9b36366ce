-- Values of a statement that cannot have parameters (COPY): settings of its transaction. They are
-- called immutable, although they are not, so that the planner takes them for constants: what reads
-- them is planned each time it runs.
CREATE OR REPLACE FUNCTION ai_hub_given(name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT current_setting('ai_hub.' || name) $$;
COMMENT ON FUNCTION ai_hub_given IS 'A text that ai-hub gives a statement of an export.';

CREATE OR REPLACE FUNCTION ai_hub_given_texts(name text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT current_setting('ai_hub.' || name)::text[] $$;
COMMENT ON FUNCTION ai_hub_given_texts IS 'Texts that ai-hub gives a statement of an export.';

CREATE OR REPLACE FUNCTION ai_hub_given_time(name text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT current_setting('ai_hub.' || name)::timestamptz $$;
COMMENT ON FUNCTION ai_hub_given_time IS 'A time that ai-hub gives a statement of an export.';
