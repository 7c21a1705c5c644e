"""The API as a service of the Nomad that runs its slots: started, upgraded, moved under a map."""

from __future__ import annotations

import json
import shlex
import shutil
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.infra import cluster as machines
from tests.infra.cluster import API_MACHINES, API_NAME, CLIENTS, LATE_S, SERVERS
from tests.infra.replacement import (
    PORTS,
    SECRETS,
    SIGNED_IN,
    accepting,
    make_secrets,
    on_api,
    start_vaults_again,
)
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


OTHER: Final = """
job "{job}" {{
  type        = "batch"
  datacenters = ["*"]
  node_pool   = "picloud-api"

  group "other" {{
    restart {{
      attempts = 0
      mode     = "fail"
    }}

    task "api" {{
      driver = "raw_exec"

      config {{
        command = "/bin/sh"
        args = ["-c", <<EOF
. /etc/picloud/machine/environment
exec 2>&1
vault write auth/picloud-nomad/login role=picloud-api jwt=@$NOMAD_SECRETS_DIR/nomad_vault.jwt
consul login -method=picloud-nomad -bearer-token-file=$NOMAD_SECRETS_DIR/nomad_consul.jwt \\
  -token-sink-file=$NOMAD_SECRETS_DIR/token && cat $NOMAD_SECRETS_DIR/token
echo "both have answered"
EOF
        ]
      }}

      identity {{
        name = "vault"
        aud  = ["picloud-vault"]
        file = true
      }}

      identity {{
        name = "consul"
        aud  = ["picloud-consul"]
        file = true
      }}
    }}
  }}
}}
"""
"""A job that tries to get the tokens of the API."""


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


def test_the_api_signs_in_to_vault_by_its_identity(cluster: Cluster) -> None:
    """No token of Vault is stored for it; that which it gets allows its work and nothing else."""
    token = token_of(cluster, "VAULT_TOKEN")

    found = json.loads(cluster.as_vaults_owner(f"vault token lookup -format=json {token}"))["data"]

    assert "VAULT_TOKEN" not in (cluster.secrets / "api" / "environment").read_text()
    assert found["path"] == "auth/picloud-nomad/login"
    assert found["policies"] == ["picloud-api"]
    assert (found["period"], found["renewable"]) == (24 * 3600, True)


def token_of(cluster: Cluster, variable: str) -> str:
    """Return a token that the API on Nomad has in its environment."""
    (name,) = until(lambda: serving(cluster), "the API runs", LATE_S)
    read = "tr '\\0' '\\n' < /proc/$(cat /run/picloud/api)/environ"
    return cluster.execute(name, f"{read} | sed -n 's/^{variable}=//p'")


def test_the_api_signs_in_to_consul_by_its_identity(cluster: Cluster) -> None:
    """No token of Consul is stored for it; that which it gets has the API's role and no other."""
    token = token_of(cluster, "CONSUL_HTTP_TOKEN")

    found = [each for each in consul_tokens(cluster) if each["SecretID"] == token]

    assert "CONSUL_HTTP_TOKEN" not in (cluster.secrets / "api" / "environment").read_text()
    assert [each["AuthMethod"] for each in found] == ["picloud-nomad"]
    assert [role["Name"] for each in found for role in each["Roles"]] == ["picloud-api"]
    assert "Policies" not in found[0]


def consul_tokens(cluster: Cluster) -> list[dict[str, Any]]:
    """Return all tokens of Consul."""
    found: list[dict[str, Any]] = json.loads(cluster.managed("consul acl token list -format=json"))
    return found


@pytest.mark.parametrize("job", ["another-job", "picloud-api-2"])
def test_no_other_job_signs_in(cluster: Cluster, job: str) -> None:
    """With identities for the same audiences, which Nomad has signed as well."""
    before = consul_tokens(cluster)
    jobspec = OTHER.format(job=job)
    cluster.execute("api", f"cat > /root/{job}.hcl << 'END'\n{jobspec}\nEND")
    cluster.managed(f"nomad job run -detach /root/{job}.hcl")

    def logs() -> str:
        return cluster.managed(f"nomad alloc logs -job {job} || true")

    until(lambda: "both have answered" in logs(), f"Vault and Consul answer {job}", LATE_S)
    refused = logs()
    cluster.managed(f"nomad job stop -purge -detach {job}")
    assert "claim" in refused
    assert "hvs." not in refused
    assert "Permission denied" in refused
    assert consul_tokens(cluster) == before


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
    """Also its key of S3. The API is started again, the old ones end; no program notices."""
    before = serving(cluster)
    working = begin(cluster)

    cluster.admin("rotate")
    version = run_job(cluster, revision="2")
    await_end(cluster, version, "successful")
    others = list(API_MACHINES.keys() - before)
    until(lambda: list(serving(cluster)) == others, "only the new one serves", LATE_S)
    revoked = cluster.admin("rotate", "--revoke")

    assert [line.split()[1:] for line in revoked.splitlines() if "consul" not in line] == [
        ["1", "revoked"]
    ] * 3
    # In Consul also that by which the API signed in before.
    signed_in = [each["SecretID"] for each in consul_tokens(cluster) if each.get("AuthMethod")]
    assert signed_in == [token_of(cluster, "CONSUL_HTTP_TOKEN")]
    assert cluster.python("import cloud; print(cloud.result(cloud.call(pow, 2, 9)))") == "512"
    assert end(cluster, working) == "all"


def test_the_authority_and_the_token_of_nats_are_replaced_under_maps(cluster: Cluster) -> None:
    """In three steps. No program notices, while maps run and messages are pushed and popped.

    In the end no server accepts a certificate by the old authority, nor NATS the old token.
    """
    working = begin(cluster)
    own, everywhere = cluster.secrets / "api", len(SERVERS) * len(PORTS)
    (own / "old").mkdir()
    for name in ("cert.pem", "key.pem", "nats-token"):
        shutil.copy(own / name, own / "old" / name)

    for step in ("--replace", "--renew", "--end"):
        make_secrets(cluster, step)
        if step != "--renew":
            start_vaults_again(cluster)
        if step != "--end":
            await_end(cluster, run_job(cluster, revision=step.strip("-")), "successful")
        if step == "--replace":
            assert len(accepting(cluster, f"{SECRETS}/old")) == everywhere
            assert on_api(cluster, SIGNED_IN, f"{SECRETS}/old/nats-token") == "accepted"

    assert len(accepting(cluster, SECRETS)) == everywhere
    assert accepting(cluster, f"{SECRETS}/old") == []
    assert on_api(cluster, SIGNED_IN, f"{SECRETS}/nats-token") == "accepted"
    refused = on_api(cluster, SIGNED_IN, f"{SECRETS}/old/nats-token")
    assert "refuses our credentials" in refused
    assert (own / "cert.pem").read_text() != (own / "old" / "cert.pem").read_text()
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
