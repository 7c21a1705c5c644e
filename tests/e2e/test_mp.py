"""`cloud.mp`: the local twin of `cloud`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import cloud
from cloud import mp

from tests.e2e.simulator_script import start_script, wait_until_nothing_is_left

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
import os, sys, time
import cloud

assert sys.argv[0]
cloud.config.num_procs = 3

def who(_):
    time.sleep(0.3)
    return os.getpid()

pids = set(cloud.mp.result(cloud.mp.map(who, range(6)), timeout=60))
print(os.getpid() in pids, len(pids))
print(sorted(value for _, value in cloud.mp.iresult_unordered(cloud.mp.map(pow, [2, 3], [10, 2]))))
print(list(cloud.mp.iresult(cloud.mp.map(abs, [-1, -2]))))
print(cloud.is_simulated(), cloud.mp.connection_info()["connection_type"])

def outer(n):
    return cloud.result(cloud.call(abs, n))

print(cloud.mp.result(cloud.mp.call(outer, -5), timeout=60))
try:
    cloud.mp.result(cloud.mp.call(lambda: 1 / 0))
except cloud.CloudException as error:
    print(type(error.__cause__).__name__)
slow = cloud.mp.call(time.sleep, 600)
cloud.mp.kill(slow)
cloud.mp.join(slow, timeout=60, ignore_errors=True)
print(cloud.mp.status(slow), cloud.mp.running_on_cloud(), cloud.mp.info(slow, "status")[slow])
cloud.mp.delete(slow)
try:
    cloud.call(abs, -1)
except cloud.CloudException as error:
    print("PiCloud server is known" in str(error))
"""


def test_several_processes_of_this_machine_run_jobs(tmp_path: Path) -> None:
    """`cloud.mp` is the local multiprocessing twin of `cloud`: the same calls, results and errors,
    in `num_procs` processes; `cloud` itself stays as it was, and nothing is left.
    """
    script = start_script(tmp_path, SOURCE)

    out, err = script.communicate(timeout=120)

    assert script.returncode == 0, err
    assert out.splitlines() == [
        "False 3",
        "[9, 1024]",
        "[1, 2]",
        "False multiprocessing",
        "5",
        "ZeroDivisionError",
        "killed False {'status': 'killed'}",
        "True",
    ]
    wait_until_nothing_is_left(tmp_path)


def test_the_twins_have_the_same_functions() -> None:
    """Functions of `cloud.mp` have the same signatures as those of `cloud`."""
    for name in mp.__all__:
        ours, theirs = getattr(mp, name), getattr(cloud, name)
        assert inspect.signature(ours) == inspect.signature(theirs), name
