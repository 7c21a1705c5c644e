"""What Huey's workers import: they have to know its tasks by name."""

from __future__ import annotations

import os
from typing import Any

from huey import RedisHuey

from bench.measures import identity, length

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS"])

TASKS: dict[str, Any] = {each.__name__: huey.task()(each) for each in (identity, length)}
