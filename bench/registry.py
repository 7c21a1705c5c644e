"""Every contender, by the name in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.contenders.celery import Celery
from bench.contenders.dask import Dask
from bench.contenders.dramatiq import Dramatiq
from bench.contenders.huey import Huey
from bench.contenders.loky import Loky
from bench.contenders.parsl import Parsl
from bench.contenders.picloud import Embedded, EmbeddedFull, HashiCorp
from bench.contenders.ray import Ray

if TYPE_CHECKING:
    from bench.contenders.contender import Contender

OURS: dict[str, type[Contender]] = {
    "embedded": Embedded,
    "embedded-full": EmbeddedFull,
    "hashicorp": HashiCorp,
}
"""This project; `embedded-full` is the embedded stack with `--synchronous FULL`."""

PEERS: dict[str, type[Contender]] = {
    "loky": Loky,
    "ray": Ray,
    "parsl": Parsl,
    "dask": Dask,
    "celery": Celery,
    "dramatiq": Dramatiq,
    "huey": Huey,
}
"""Each has an environment of its own; `bench/peers/<name>.txt` pins its packages."""

CONTENDERS = OURS | PEERS
"""All of them, ours first."""
