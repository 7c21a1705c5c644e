"""joblib's tasks as jobs, on every stack."""

from __future__ import annotations

import multiprocessing
import os
import time
from typing import TYPE_CHECKING

import cloud
import joblib
import pytest
from joblib import delayed

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.usefixtures("as_current")


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    """Have joblib use the backend, with a label on each job."""
    cloud.register_joblib()
    with joblib.parallel_config("picloud", label="of joblib"):
        yield


def halve(number: int) -> int:
    """Half of an even number."""
    if number % 2:
        message = f"{number} is odd"
        raise ValueError(message)
    return number // 2


def total(count: int) -> int:
    """Use joblib in a job."""
    return sum(joblib.Parallel(n_jobs=2)(delayed(abs)(-n) for n in range(count)))


def total_in_jobs(count: int) -> int:
    """Name the backend in a job: its tasks are jobs, too."""
    tasks = (delayed(os.getenv)("PICLOUD_JID") for _ in range(count))
    jids = joblib.Parallel(n_jobs=2, backend="picloud")(tasks)
    return len([jid for jid in jids if jid != os.environ["PICLOUD_JID"]])


def name_in_jobs(name: str, value: str) -> None:
    """Set a variable of the environment."""
    os.environ[name] = value


def test_jobs_know_the_backend_and_are_initialized() -> None:
    """A task may name it; `initializer` and `initargs` of `parallel_config` are the executor's."""
    assert joblib.Parallel(n_jobs=2)(delayed(total_in_jobs)(n) for n in (2, 3)) == [2, 3]

    name = f"JOBLIB_{os.urandom(4).hex()}"
    with joblib.parallel_config("picloud", initializer=name_in_jobs, initargs=(name, "yes")):
        assert joblib.Parallel()(delayed(os.getenv)(name) for _ in range(3)) == ["yes"] * 3


def test_results_are_in_order() -> None:
    """Tasks of one batch are one job, whatever its size; a task may use joblib itself.

    Options are those of jobs.
    """
    assert joblib.Parallel()(delayed(halve)(n) for n in range(0, 400, 2)) == [*range(200)]
    assert joblib.Parallel()(delayed(total)(n) for n in (3, 4)) == [3, 6]
    assert joblib.Parallel()([delayed(len)(bytes(2_000_000))]) == [2_000_000]

    results = joblib.Parallel(return_as="generator")(delayed(halve)(n) for n in (4, 6))
    assert [*results] == [2, 3]
    assert cloud.jobs(limit=1)[0].label == "of joblib"


def test_an_error_of_a_task_is_raised() -> None:
    """As in every backend: the task's own exception. Jobs that have not ended are killed."""
    with pytest.raises(ValueError, match="3 is odd"):
        joblib.Parallel()(delayed(halve)(n) for n in (2, 3))

    with pytest.raises(multiprocessing.TimeoutError):
        joblib.Parallel(timeout=0.5)(delayed(time.sleep)(n) for n in (0, 600))
    newest = cloud.jobs(limit=1)[0].jids
    until(lambda: cloud.status(newest)[0] == "killed", "the job that was too slow is killed")
