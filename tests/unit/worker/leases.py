"""Leases made by hand."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import cloudpickle
from picloud_model.pack import Envelope, seal
from picloud_model.wire import Content, Lease, LeasedJob, Options

HERE = Envelope.here(cloudpickle.__version__)


def leased(function: Any, args: tuple[Any, ...] = (), envelope: Envelope = HERE) -> Lease:
    """Return a lease of one job."""
    raw = function if isinstance(function, bytes) else seal(cloudpickle.dumps(function))
    content = Content(sha256(raw).hexdigest(), len(raw), raw)
    jobs = [LeasedJob(0, 1, seal(cloudpickle.dumps((args, {}))))]
    return Lease(
        batch="b",
        first=7,
        envelope=envelope,
        function=content,
        function_name="f",
        bundle="",
        options=Options(),
        jobs=jobs,
    )
