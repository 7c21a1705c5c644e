"""What Celery's workers import: they have to know its tasks by name."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

from bench.measures import identity, length

_REDIS = os.environ["BENCH_REDIS"]

app = Celery("bench", broker=_REDIS, backend=_REDIS)
app.conf.update(task_serializer="pickle", result_serializer="pickle", accept_content=["pickle"])

TASKS: dict[str, Any] = {each.__name__: app.task(each) for each in (identity, length)}
