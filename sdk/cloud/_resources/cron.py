"""Cron jobs of an account."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from picloud_model.wire.cron import (
    CronInfo,
    CronRequest,
    CronsListed,
    CronsRequest,
    CronStarted,
    DeregisterCronRequest,
    RegisterCronRequest,
    RunCronRequest,
)

from cloud._http.transport import post_removal

if TYPE_CHECKING:
    from picloud_model.wire import SubmitRequest
    from picloud_model.wire.cron import CronSchedule

    from cloud._http.transport import Transport


class CronClient:
    """Registers, lists, starts and removes cron jobs."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(self, label: str, schedule: CronSchedule, job: SubmitRequest) -> None:
        """Run a job on a schedule."""
        request = RegisterCronRequest(label=label, schedule=schedule, job=job)
        self._transport.post("/v1/crons", request, CronInfo)

    def deregister(self, label: str) -> None:
        """Remove a cron job."""
        request = DeregisterCronRequest(label=label)
        post_removal(self._transport, "/v1/crons/deregister", request)

    def run(self, label: str) -> int:
        """Start a job of a cron job now; return its jid."""
        request = RunCronRequest(label=label, submit_id=os.urandom(16).hex())
        return self._transport.post("/v1/crons/run", request, CronStarted).jid

    def list(self) -> list[CronInfo]:
        """Return all cron jobs, in the order of their labels."""
        return self._transport.post("/v1/crons/list", CronsRequest(), CronsListed).crons

    def info(self, label: str) -> CronInfo:
        """Return what is known of a cron job."""
        return self._transport.post("/v1/crons/info", CronRequest(label=label), CronInfo)
