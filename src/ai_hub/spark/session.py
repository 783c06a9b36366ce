"""A session of Spark for commands, with the settings that a training set wants."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ai_hub.spark.extra import PySparkException as SparkError
from ai_hub.spark.extra import SparkSession as Session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["SparkError", "opened_session"]

_SETTINGS = {
    # Else times are INT96, which is deprecated, and which readers take for nanoseconds.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.session.timeZone": "UTC",
    # Of the default, 10,000, a worker has more to unpack.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    # What commands say of their progress is enough.
    "spark.ui.showConsoleProgress": "false",
}


@contextmanager
def opened_session() -> Iterator[SparkSession]:
    """A session as the environment says (SPARK_REMOTE, SPARK_CONF_DIR, spark-submit), on this
    machine if it says nothing; its workers run this interpreter, or that of PYSPARK_PYTHON."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = Session.builder.appName("ai-hub export")
    for key, value in _SETTINGS.items():
        if key.startswith("spark.sql") or "SPARK_REMOTE" not in os.environ:
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()
