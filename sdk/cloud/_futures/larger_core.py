"""`cloud.RetryPolicy(oom="grow")`: a function whose memory was not enough runs on a larger core.

The job of the user waits for a job that runs the function, as nothing of a process is left that ran
out of memory. Its slot runs that job meanwhile, unless it needs a larger core.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from picloud_model.core import CORE_TYPES
from picloud_model.job import Cause

from cloud._arguments.options import CallOptions
from cloud._client.current import client
from cloud._futures.retry_policy import run_again
from cloud._packing.packer import name_of
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire import Options

    from cloud._futures.retry_policy import RetryPolicy
    from cloud._jobs.job import Job


def next_larger(core_type: str, cores: int) -> tuple[str, int] | None:
    """Return the core type, and how many cores, with the next larger memory; None for no larger.

    >>> next_larger("c1", 1), next_larger("f2", 16), next_larger("m1", 1)
    (('c2', 1), ('m1', 8), None)
    """
    memory_mb = CORE_TYPES[core_type].memory_mb * cores
    larger = []
    for core in CORE_TYPES.values():
        allowed = max(each for each in core.multiples if each <= cores)
        larger.append((core.memory_mb * allowed, core.name, allowed))
    chosen = min((each for each in larger if each[0] > memory_mb), default=None)
    return None if chosen is None else (chosen[1], chosen[2])


def waiting_options(options: Options) -> Options:
    """Return the options of the job that only waits: what the function needs, the other one has."""
    return replace(
        options,
        vols=[],
        secrets=[],
        ports={},
        max_runtime_s=None,
        profile=False,
        kill_process=False,
    )


def run_growing(
    policy: RetryPolicy, options: Options, func: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """Run a function in a job of this job, and again on larger cores while its memory is lacking.

    Args:
        policy: What else it is run again for.
        options: Those of its job.
        func: The function.
        args: Its positional arguments.
        kwargs: Its keyword arguments.

    Raises:
        MemoryError: When the largest core has too little memory.
    """
    used = client()
    options = replace(options, on_done=None)
    while True:
        chosen = CallOptions(options=options, name=name_of(func))
        job = used.submit_call(partial(run_again, policy, func), args, kwargs, chosen)
        try:
            return job.result()
        except Exception as error:
            if not _lacked_memory(job):
                raise
            larger = next_larger(options.core_type, options.cores)
            if larger is None:
                raise MemoryError(str(error)) from None
        except BaseException:  # this job is killed
            with suppress(CloudException):
                job.kill()
            raise
        finally:
            _copy_output(job)
        sys.stderr.write(
            f"picloud: out of memory on {options.core_type} (job {job:d}); the next attempt begins "
            f"on {larger[0]}\n"
        )
        options = replace(options, core_type=larger[0], cores=larger[1])


def _lacked_memory(job: Job) -> bool:
    return bool(job.info("cause")["cause"] == Cause.MEMORY.phrase)


def _copy_output(job: Job) -> None:
    """Write what a job has written, as its user looks for it in this one."""
    with suppress(CloudException):
        written = job.info(["stdout", "stderr"])
        sys.stdout.write(written["stdout"] or "")
        sys.stderr.write(written["stderr"] or "")
