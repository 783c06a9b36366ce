"""The embedded store: DuckDB, one file or in memory, no server."""
