-- How many rows of an export are outside their range, by feature; null where none is.

ALTER TABLE feature_exports ADD COLUMN IF NOT EXISTS violations JSON;
