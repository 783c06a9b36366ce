"""The share of readings that came in late, which a database on PostgreSQL knows."""

from __future__ import annotations

import os
from datetime import timedelta
from urllib.parse import urlsplit

from doctor.conftest import NOW, Practice, hourly
from servers import Server


def test_readings_that_came_in_late(practice: Practice, postgres: Server) -> None:
    practice.ingest(hourly(hours=200))
    # The first load is none.
    practice.fine("arrivals")
    database = urlsplit(os.environ["AI_HUB_DATABASE_URL"]).path[1:]
    first = "UPDATE ai_features SET ingested_at = timestamp - INTERVAL '1 day' WHERE timestamp < $1"
    postgres.sql(first, database, NOW - timedelta(days=4))
    mends = practice.wrong("arrivals", "warning", "a day late or more", tenant="acme")
    minutes = [(NOW - timedelta(minutes=n), "a", float(n % 9)) for n in range(1_400)]
    practice.mend(mends, FILE=practice.csv(minutes))
    practice.fine("arrivals")
