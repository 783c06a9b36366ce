"""The store on PostgreSQL, with TimescaleDB where it is there."""
