"""One answer now: cache, reader and what they need."""
