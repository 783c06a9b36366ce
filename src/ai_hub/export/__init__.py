"""All answers for a history: batches to Parquet."""
