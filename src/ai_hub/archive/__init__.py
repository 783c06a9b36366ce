"""Sealed history: days of observations and weather as Parquet, read together with live rows."""
