"""What a burst's jobspec says, as Nomad itself has parsed it, and what cannot get into it."""

import subprocess
from collections.abc import Iterator
from importlib import resources
from typing import Any

import msgspec
import pytest
from picloud_driver.nomad.gateway import NomadGateway
from picloud_jobspecs.render import Driver, SlotJob, SlotSite, fill, is_burst, jobspec, variables
from picloud_model.core import CORE_TYPES
from picloud_model.errors import RequestRefused

from tests.servers import running
from tests.servers.process import binary

SITE = SlotSite(url="http://10.0.0.7:8000", worker=("/opt/python/bin/python3", "-P", "-m", "w"))
JOB = SlotJob(
    burst="pc-a0000001-000000000042-0badcafe",
    account="a0000001",
    core_type="c2",
    cores=2,
    count=7,
)
SECOND_NS = 1_000_000_000
#: What Nomad is meant to replace, on the machine a slot runs on.
KNOWN = {
    "${meta.picloud_core_types}",
    "${node.unique.id}",
    "${NOMAD_TASK_DIR}",
    "${NOMAD_ALLOC_ID}",
}
ATTACKS = [
    "",
    "${attr.unique.hostname}",
    "a${NOMAD_SECRETS_DIR}",
    "$${x}",
    "%{ for x in y }",
    'a"',
    'a"\ncount = 999\nx = "',
    "a'b",
    "a\n",
    "a\\",
    "a b",
    "a;b",
    "`id`",
    "$(id)",
    "a\0",
    "é",
    "a" * 2000,
]
TEXTS = ("burst", "account", "core_type", "image", "url", "driver", "user", "worker")
NUMBERS = ("cores", "count")


@pytest.fixture(scope="module")
def parsed(gateway: NomadGateway) -> dict[str, Any]:
    """The job as Nomad has read it."""
    return gateway.parse(jobspec(), variables(SITE, JOB))


@pytest.fixture
def task(parsed: dict[str, Any]) -> dict[str, Any]:
    """Its one task."""
    (group,) = parsed["TaskGroups"]
    (task,) = group["Tasks"]
    assert isinstance(task, dict)
    return task


def strings(value: object) -> Iterator[str]:
    """Every string in a value, keys too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(key)
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


# --- what it says ---------------------------------------------------------------------------------


def test_a_burst_is_one_batch_job_of_its_name(parsed: dict[str, Any]) -> None:
    """Nomad shows a burst by its name, and it is over when its slots have ended."""
    (group,) = parsed["TaskGroups"]

    assert (parsed["ID"], parsed["Name"], parsed["Type"]) == (JOB.burst, JOB.burst, "batch")
    assert group["Count"] == 7
    assert is_burst(parsed["ID"])


def test_nomad_pins_slots_to_their_core_type(parsed: dict[str, Any]) -> None:
    """Only a machine whose meta lists the core type will do."""
    (group,) = parsed["TaskGroups"]

    assert group["Constraints"] == [
        {
            "LTarget": "${meta.picloud_core_types}",
            "Operand": "set_contains",
            "RTarget": "c2",
        }
    ]


def test_slots_are_never_started_again(parsed: dict[str, Any]) -> None:
    """A slot that fails stays so: neither its machine nor Nomad tries once more."""
    (group,) = parsed["TaskGroups"]

    assert (group["RestartPolicy"]["Attempts"], group["RestartPolicy"]["Mode"]) == (0, "fail")
    policy = group["ReschedulePolicy"]
    assert (policy["Attempts"], policy["Unlimited"]) == (0, False)
    assert group["Disconnect"]["StopOnClientAfter"] == 120 * SECOND_NS


def test_the_job_says_whose_slots_they_are(parsed: dict[str, Any]) -> None:
    """The pool is in the job's meta, where no slot can change it."""
    assert parsed["Meta"] == {
        "account": "a0000001",
        "core_type": "c2",
        "cores": "2",
        "image": "",
        "slots": "7",
    }


def test_nomads_ui_leads_back(parsed: dict[str, Any]) -> None:
    """It says whose slots these are, and links to the pages with their jobs."""
    assert parsed["UI"] == {
        "Description": "Slots for jobs of account a0000001 of PiCloud.",
        "Links": [{"Label": "Jobs in PiCloud", "URL": f"{SITE.url}/jobs"}],
    }


def test_a_slot_is_the_worker_with_a_proof(task: dict[str, Any]) -> None:
    """It gets the URL, its allocation and the descriptor of its proof, and no more."""
    arguments = task["Config"]["args"]

    assert task["Driver"] == "raw_exec"
    assert arguments[3:] == [
        *SITE.worker,
        *("--url", SITE.url, "--place", "${NOMAD_ALLOC_ID}", "--proof-fd", "3"),
    ]


def test_a_slot_gets_an_identity_for_the_api_alone(task: dict[str, Any]) -> None:
    """It is in a file of the slot's user, in no environment, and not good for Nomad itself."""
    (identity,) = task["Identities"]

    assert (identity["Name"], identity["Audience"]) == ("picloud", ["picloud-slot"])
    assert (identity["File"], identity["Env"]) == (True, False)
    assert identity["TTL"] == 3600 * SECOND_NS
    assert task["User"] == "root"
    assert task["Identity"] is None


def test_a_slot_has_no_vault_and_no_logs_of_nomad(task: dict[str, Any]) -> None:
    """No token, no template, no environment, and no pipe on which a job could hang."""
    assert task["LogConfig"]["Disabled"] is True
    assert (task["Vault"], task["Templates"], task["Env"]) == (None, None, None)
    assert (task["KillSignal"], task["KillTimeout"]) == ("SIGTERM", 2 * SECOND_NS)


@pytest.mark.parametrize("core_type", list(CORE_TYPES))
def test_a_slot_reserves_what_its_cores_have(gateway: NomadGateway, core_type: str) -> None:
    """Memory is that of the core type, MHz 400 for each compute unit, both times cores."""
    job = msgspec.structs.replace(JOB, core_type=core_type, cores=2)

    found = gateway.parse(jobspec(), variables(SITE, job))
    resources_of = found["TaskGroups"][0]["Tasks"][0]["Resources"]

    core = CORE_TYPES[core_type]
    assert resources_of["MemoryMB"] == 2 * core.memory_mb
    assert resources_of["CPU"] == 2 * 400 * core.compute_units


@pytest.mark.parametrize(
    ("core_type", "cores", "compute_units", "memory_mb"),
    [
        ("c1", 1, 1, 300),
        ("c2", 8, 20, 6_400),
        ("f2", 4, 22, 14_800),
        ("f2", 16, 88, 59_200),
        ("m1", 8, 26, 64_000),
        ("s1", 1, 2, 300),
    ],
)
def test_the_largest_jobs_reserve_what_the_primer_says(
    gateway: NomadGateway, core_type: str, cores: int, compute_units: float, memory_mb: int
) -> None:
    """The promise: "Choosing to use N cores gives your job access to N times the resources", as
    with f2: "4 - 5.5 compute units, 3.7 GB of memory" each, and "you can pool 8 m1 cores together
    for 64GB".
    """
    job = msgspec.structs.replace(JOB, core_type=core_type, cores=cores)

    found = gateway.parse(jobspec(), variables(SITE, job))
    resources_of = found["TaskGroups"][0]["Tasks"][0]["Resources"]

    assert resources_of["CPU"] == compute_units * 400
    assert resources_of["MemoryMB"] == memory_mb


def test_only_what_is_known_is_replaced(parsed: dict[str, Any]) -> None:
    """Of what Nomad replaces there is nothing in a job but what the jobspec itself has."""
    marked = {text for text in strings(parsed) if "${" in text or "%{" in text}

    assert marked == KNOWN


def test_a_job_filled_in_is_the_job_parsed(gateway: NomadGateway, parsed: dict[str, Any]) -> None:
    """The job of another burst, made from a parsed one, is what Nomad would have read."""
    other = msgspec.structs.replace(JOB, burst="pc-a2-2-2", account="a2", count=1)

    assert fill(parsed, other) == gateway.parse(jobspec(), variables(SITE, other))
    assert parsed["ID"] == JOB.burst


def test_the_jobspec_runs_by_hand(nomad_server: running.Nomad) -> None:
    """Nomad's own command takes the file with the variables that have no default."""
    with resources.as_file(resources.files("picloud_jobspecs") / "slot.nomad.hcl") as path:
        given = [f"-var={name}" for name in ("burst=pc-1", "account=a1", "url=http://h:1")]
        done = subprocess.run(
            [binary("nomad"), "job", "validate", *given, str(path)],
            env={"NOMAD_ADDR": nomad_server.address},
            capture_output=True,
            text=True,
            check=False,
        )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Job validation successful" in done.stdout


# --- what cannot get in ---------------------------------------------------------------------------


def altered(name: str, value: object) -> tuple[SlotSite, SlotJob]:
    """Site and job with one other value."""
    known = {field.name for field in msgspec.structs.fields(SlotJob)}
    if name in known:
        return SITE, msgspec.structs.replace(JOB, **{name: value})
    if name == "worker":
        value = (*SITE.worker, value)
    return msgspec.structs.replace(SITE, **{name: value}), JOB


@pytest.mark.parametrize(
    ("name", "attack"),
    [
        (name, attack)
        for name in TEXTS
        for attack in ATTACKS
        if attack or name not in {"image", "user"}
    ],
)
def test_no_text_but_a_plain_one_gets_in(name: str, attack: str) -> None:
    """Marks of Nomad's, quotes, line ends, spaces and other signs are refused, by field."""
    site, job = altered(name, attack)

    with pytest.raises(RequestRefused) as refused:
        variables(site, job)

    assert refused.value.field == name


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("attack", [0, -1, 1.5, True, 10**9, "1", None, "${x}"])
def test_no_number_but_a_count_gets_in(name: str, attack: object) -> None:
    """What is not a whole number from 1 to 100,000 is refused."""
    site, job = altered(name, attack)

    with pytest.raises(RequestRefused) as refused:
        variables(site, job)

    assert refused.value.field == name


@pytest.mark.parametrize("name", ["burst", "account", "count"])
def test_nothing_else_is_filled_in(parsed: dict[str, Any], name: str) -> None:
    """The same holds for a job that is made from a parsed one."""
    _, job = altered(name, "${attr.unique.hostname}")

    with pytest.raises(RequestRefused):
        fill(parsed, job)


def test_a_slot_has_a_program() -> None:
    """An empty command is refused."""
    with pytest.raises(RequestRefused):
        variables(SlotSite(url=SITE.url, worker=()), JOB)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000",
        "https://cloud.example.org",
        "http://[::1]:8000/",
        "https://example.org/picloud/v1~a_b-c",
    ],
)
def test_urls_get_in(url: str) -> None:
    """What a URL of an API looks like is not an attack."""
    assert f'url = "{url}"' in variables(SlotSite(url=url), JOB).splitlines()


@pytest.mark.parametrize(
    "url",
    ["ftp://h", "http://", "http://u:p@h", "http://h/?q=${x}", "http://h#f", "h:1", "http://h/é"],
)
def test_other_urls_do_not(url: str) -> None:
    """No password, no query and no fragment belongs there."""
    with pytest.raises(RequestRefused):
        variables(SlotSite(url=url), JOB)


# --- containers -----------------------------------------------------------------------------------


@pytest.fixture
def contained(gateway: NomadGateway) -> dict[str, Any]:
    """The task of a burst whose slots are containers, as Nomad has read it."""
    site = SlotSite(
        url="http://172.18.0.1:8000",
        driver=Driver.DOCKER,
        container="picloud/base:bookworm-0123456789ab",
        network="picloud-0123456789ab",
    )
    (group,) = gateway.parse(jobspec(), variables(site, JOB))["TaskGroups"]
    (task,) = group["Tasks"]
    assert isinstance(task, dict)
    return task


def test_a_container_has_the_rights_of_its_supervisor_only(contained: dict[str, Any]) -> None:
    """All capabilities are dropped but those with which it shuts Nomad's directories and forks."""
    config = contained["Config"]

    assert contained["Driver"] == "docker"
    assert config["cap_drop"] == ["all"]
    assert sorted(config["cap_add"]) == ["fowner", "kill", "setgid", "setpcap", "setuid"]
    assert "setpriv --bounding-set=-all,+setuid,+setgid,+kill" in config["args"][1]
    assert config["security_opt"] == ["no-new-privileges"]
    assert config["readonly_rootfs"] is True
    assert config["network_mode"] == "picloud-0123456789ab"
    assert not {"privileged", "volumes", "pid_mode", "ports", "devices", "auth"} & config.keys()


def test_a_container_is_limited(contained: dict[str, Any]) -> None:
    """Memory is that of the core type and 64 MB; processes and files are limited too."""
    config, memory_mb = contained["Config"], 2 * CORE_TYPES["c2"].memory_mb + 64

    assert contained["Resources"]["MemoryMB"] == memory_mb
    assert config["pids_limit"] == 512
    assert config["ulimit"] == [{"core": "0"}]
    sizes = {mount["target"]: mount["tmpfs_options"][0]["size"] for mount in config["mount"]}
    assert set(sizes) == {"/work", "/work/home", "/tmp"}
    assert sum(sizes.values()) <= memory_mb * 1024 * 1024


@pytest.mark.parametrize(
    "name", [f"10.0.0.5:5000/picloud-1/bookworm-2@sha256:{'3' * 64}", "r.example.com/a/b:c"]
)
def test_images_of_registries_are_named_by_digest_or_tag(name: str) -> None:
    """The names by which machines pull them; Nomad waits as long as a large one takes."""
    site = msgspec.structs.replace(SITE, container=name)

    assert f'container = "{name}"' in variables(site, JOB).splitlines()
    assert 'image_pull_timeout = "15m"' in jobspec()


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack])
@pytest.mark.parametrize("name", ["container", "network"])
def test_names_of_images_and_networks_are_checked(name: str, attack: str) -> None:
    """They get into a jobspec as everything else does: only what matches a short pattern."""
    site = msgspec.structs.replace(SITE, **{name: attack})

    with pytest.raises(RequestRefused):
        variables(site, JOB)
