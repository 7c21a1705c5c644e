"""What Dramatiq's workers import: they have to know its tasks by name."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.encoder import PickleEncoder
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench.measures import identity, length

_REDIS = os.environ["BENCH_REDIS"]

dramatiq.set_encoder(PickleEncoder())
broker = RedisBroker(url=_REDIS)
broker.add_middleware(Results(backend=RedisBackend(url=_REDIS, encoder=PickleEncoder())))
dramatiq.set_broker(broker)

TASKS: dict[str, Any] = {
    each.__name__: dramatiq.actor(each, store_results=True) for each in (identity, length)
}
