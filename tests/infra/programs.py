"""Programs that use a cluster while something happens to it; each ends with the first error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.infra.cluster import CLIENTS, SLOTS

if TYPE_CHECKING:
    import subprocess

    from tests.infra.cluster import Cluster

ENDED: Final = "/tmp/ended"
PASSED: Final = f"""
import cloud, os

queue = cloud.queue.get("passed")
pushed, popped = 0, []
while not os.path.exists({ENDED!r}) or len(popped) < pushed:
    if not os.path.exists({ENDED!r}):
        queue.push([pushed])
        pushed += 1
    popped += queue.pop(timeout=1)
    if pushed == 3:
        print("running", flush=True)
assert sorted(popped) == list(range(pushed)), (pushed, popped)
print("all", flush=True)
"""
"""Messages that are pushed and popped, one after the other, until the file exists."""
LONG: Final = """
import cloud, json, socket, time

def where(number):
    time.sleep(0.4)
    return number, socket.gethostname()

jids = cloud.map(where, range(100))
cloud.result(jids[0], timeout=90)
print("running", flush=True)
found = cloud.result(jids, timeout=110)
assert [number for number, _ in found] == list(range(100)), found
print(json.dumps([host for _, host in found]), flush=True)
"""
"""A map that was acknowledged; each job tells where it ran."""


RELEASED: Final = "/tmp/released"
HELD: Final = f"""
import cloud, json, os, socket, time

def hold(number):
    while not os.path.exists({RELEASED!r}):
        time.sleep(0.05)
    return socket.gethostname()

jids = cloud.map(hold, range(12))
while cloud.status(jids).count("processing") < {len(CLIENTS) * SLOTS}:
    time.sleep(0.1)
print("running", flush=True)
print(json.dumps(cloud.result(jids, timeout=110)), flush=True)
"""
"""A map whose jobs run until the file exists on their machine; each tells where."""


def begin(cluster: Cluster, *sources: str) -> list[subprocess.Popen[str]]:
    """Start programs, and wait until each is in the middle of its work."""
    cluster.execute("api", f"rm -f {ENDED}")
    running = [cluster.begin(source) for source in sources]
    for each in running:
        assert cluster.first_line(each) == "running"
    return running


def end(cluster: Cluster) -> None:
    """Let the programs that run until then end."""
    cluster.execute("api", f"touch {ENDED}")
