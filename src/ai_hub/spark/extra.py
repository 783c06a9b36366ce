"""The library of the extra `spark`, imported when it is needed."""

from __future__ import annotations

from ai_hub.errors import InvalidInput

try:
    from pyspark.errors import AnalysisException as AnalysisException
    from pyspark.errors import PySparkException as PySparkException
    from pyspark.sql import SparkSession as SparkSession
    from pyspark.sql import functions as functions
    from pyspark.sql import types as types
    from pyspark.sql import window as window
except ImportError as error:
    expected = f"the extra spark to be installed ({error})"
    hint = "pip install 'ai-hub-feature-store[spark]'"
    raise InvalidInput("spark", error.name, expected, hint) from None
