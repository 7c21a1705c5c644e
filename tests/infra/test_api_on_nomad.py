"""The API as a service of the Nomad that runs its slots: started, upgraded, moved under a map."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Final

import pytest

from tests.infra import cluster as machines
from tests.infra.cluster import API_MACHINES, API_NAME, CLIENTS, LATE_S
from tests.polling import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.infra.cluster import Cluster
    from tests.servers.run_dockerd import Dockerd

pytestmark = pytest.mark.timeout(900)

NEXT: Final = "9.9.9"
"""The version of the upgrade."""
RUN: Final = ("/opt/picloud/boot/run", "api")
INSTALL: Final = f"""
cp -a /opt/picloud/venv /opt/picloud/{NEXT}
cd /opt/picloud/{NEXT}/lib/python3*/site-packages
sed -i 's/^Version: .*/Version: {NEXT}/' picloud-*/METADATA
"""
"""Another version, which differs in its number only."""
ENDED: Final = "/tmp/ended"
WORK: Final = f"""
import cloud, os, time

def square(number):
    time.sleep(0.05)
    return number * number

queue = cloud.queue.get("numbers")
rounds, popped = 0, []
while not os.path.exists({ENDED!r}):
    jids = cloud.map(square, range(40))
    queue.push([rounds])
    assert cloud.result(jids, timeout=100) == [number * number for number in range(40)]
    popped += queue.pop(timeout=30)
    rounds += 1
    if rounds == 1:
        print("running", flush=True)
assert popped == list(range(rounds)), (rounds, popped)
print("all", flush=True)
"""
"""Maps and messages, one after the other, until the file exists; it ends with the first error."""
WAIT: Final = """
import cloud, time

def square(number):
    time.sleep(0.2)
    return number * number

jids = cloud.map(square, range(200))
cloud.result(jids[0], timeout=90)
print("running", flush=True)
print(sum(cloud.result(jids, timeout=110)), flush=True)
"""
"""A map that was acknowledged, and the wait for it."""


@pytest.fixture(scope="module")
def cluster(image_daemon: Dockerd, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose Nomad runs the API on one of two machines."""
    folder = tmp_path_factory.mktemp("platform")
    with machines.cluster(image_daemon, folder, on_nomad=True) as made:
        run_job(made)
        yield made


def run_job(cluster: Cluster, *command: str, healthy_s: int = 60, revision: str = "") -> int:
    """Run the jobspec; return the version of the job."""
    words = shlex.join(("--", *command)) if command else ""
    file = "/root/api.nomad.hcl"
    cluster.execute("api", f"picloud admin jobspec --healthy {healthy_s} {words} > {file}")
    cluster.managed(f"nomad job validate {file}")
    cluster.managed(f"nomad job run -detach -var revision={revision} {file}")
    return int(json.loads(cluster.managed("nomad job inspect picloud-api"))["Job"]["Version"])


def await_end(cluster: Cluster, version: int, status: str) -> None:
    """Wait until the deployment of a version of the job has ended in a status."""

    def has_ended() -> bool:
        found = json.loads(cluster.managed("nomad job deployments -json picloud-api"))
        return status in [each["Status"] for each in found if each["JobVersion"] == version]

    until(has_ended, f"the deployment of version {version} is {status}", LATE_S)


def serving(cluster: Cluster, at: str = "api") -> dict[str, str]:
    """Return the machines on which the API is healthy, with its version; asked from a machine."""
    found = {}
    for name, address in API_MACHINES.items():
        url = f"http://{address}:8787/v1/health"
        script = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=5).read().decode())"
        python = f"/opt/picloud/venv/bin/python -c {shlex.quote(script)} 2> /dev/null"
        health = json.loads(cluster.execute(at, f"{python} || echo '{{}}'"))
        if health:
            found[name] = health["version"]
    return found


def begin(cluster: Cluster) -> subprocess.Popen[str]:
    """Start a program that uses the platform all the time, and wait until it does."""
    cluster.execute("api", f"rm -f {ENDED}")
    working = cluster.begin(WORK)
    assert cluster.first_line(working) == "running"
    return working


def end(cluster: Cluster, working: subprocess.Popen[str]) -> str:
    """Let the program end; return the rest of what it printed."""
    cluster.execute("api", f"touch {ENDED}")
    return cluster.result(working)


def test_slots_use_the_name_of_all_api_machines(cluster: Cluster) -> None:
    """So they outlive the machine of the API that has started them."""
    assert cluster.python("import cloud; print(cloud.result(cloud.call(pow, 2, 9)))") == "512"

    burst, *_ = json.loads(cluster.managed("nomad operator api '/v1/jobs?prefix=pc-'"))
    job = json.loads(cluster.managed(f"nomad job inspect {burst['ID']}"))["Job"]
    assert f"http://{API_NAME}:8787" in job["TaskGroups"][0]["Tasks"][0]["Config"]["args"]


def test_an_upgrade_interrupts_nothing(cluster: Cluster) -> None:
    """The new version is tried on the other machine, then the old one ends; no program notices."""
    before = serving(cluster)
    working = begin(cluster)
    for name in (*API_MACHINES, *CLIENTS):
        cluster.execute(name, INSTALL)

    version = run_job(cluster, *RUN, f"/opt/picloud/{NEXT}")
    await_end(cluster, version, "successful")

    (other,) = API_MACHINES.keys() - before
    until(lambda: serving(cluster) == {other: NEXT}, "only the new version serves", LATE_S)
    assert end(cluster, working) == "all"


def test_a_version_that_does_not_start_is_taken_back(cluster: Cluster) -> None:
    """What served before serves all the time, and its jobspec is the job's again."""
    before = serving(cluster)
    working = begin(cluster)

    version = run_job(cluster, *RUN, "/opt/picloud/none", healthy_s=20)
    await_end(cluster, version, "failed")

    def is_back() -> bool:
        job = json.loads(cluster.managed("nomad job inspect picloud-api"))["Job"]
        return "/opt/picloud/none" not in json.dumps(job)

    until(is_back, "the last version is the job's", LATE_S)
    assert end(cluster, working) == "all"
    assert serving(cluster) == before


def test_the_tokens_of_the_api_are_replaced_under_a_map(cluster: Cluster) -> None:
    """New tokens, the API is started again with them, the old ones end; no program notices."""
    before = serving(cluster)
    working = begin(cluster)

    cluster.admin("rotate")
    version = run_job(cluster, revision="2")
    await_end(cluster, version, "successful")
    others = list(API_MACHINES.keys() - before)
    until(lambda: list(serving(cluster)) == others, "only the new one serves", LATE_S)
    revoked = cluster.admin("rotate", "--revoke")

    assert revoked.count("  1 revoked") == 3
    assert cluster.python("import cloud; print(cloud.result(cloud.call(pow, 2, 9)))") == "512"
    assert end(cluster, working) == "all"


def test_another_machine_takes_over(cluster: Cluster) -> None:
    """The machine that runs the API is lost; Nomad starts it on the other one.

    No API answers until Nomad has noticed that. What was acknowledged is done, and waits go on.
    """
    (lost,) = serving(cluster)
    (other,) = API_MACHINES.keys() - {lost}
    waiting = cluster.begin(WAIT, other)
    assert cluster.first_line(waiting) == "running"

    cluster.kill(lost)
    try:
        until(lambda: other in serving(cluster, other), "the API runs on the other", LATE_S)
        assert cluster.result(waiting) == str(sum(number * number for number in range(200)))
    finally:
        cluster.restart(lost)
