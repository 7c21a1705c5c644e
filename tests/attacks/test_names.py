"""Names and labels are text: they are never interpreted, and none reaches a jobspec."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from picloud_api.settings import read
from picloud_api.wiring import url_for
from picloud_driver.nomad.gateway import NomadGateway
from picloud_driver.stack.servers import nomad
from picloud_jobspecs.render import Driver, SlotJob, SlotSite, is_burst, jobspec, variables
from picloud_model.wire import ListRequest

from tests.attacks.openapi_targets import Target
from tests.e2e import nomad_requests
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.attacks.sender import Sender
    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

HOSTILE: Final = {
    "interpolation": "${attr.unique.hostname} ${node.unique.id} ${NOMAD_SECRETS_DIR}",
    "template": "%{ for x in y } {{ env `VAULT_TOKEN` }} {{ key `a` }}",
    "heredoc": "<<EOT\nx\nEOT\n",
    "quotes": "\"'`\\\" }} ] } ; job \"x\" {",
    "shell": "$(touch /tmp/pwned); `id` | sh & # > /dev/null",
    "line breaks": 'a\r\nX-Evil: 1\r\n\r\n{"level": "error"}',
    "terminal": "\x1b]0;title\x07\x1b[31mred\x1b[2J\x9b5n\x1b]52;c;ZXZpbA==\x07",
    "direction": "abc\u202egpj.exe\u2066\u2069\u200b",
    "NUL": "a\0b",
    "path": "../../../../etc/passwd",
    "overlong": "é" * 200,
    "markup": "<script>alert(1)</script>",
    "SQL": "'; DROP TABLE entries; --",
    "surrogates": "\U0001f600 \ufffe \uffff",
}  # fmt: skip
"""What could be interpreted on its way."""
SUBMIT: Final = Target("POST", "/v1/jobs")
NOTED: Final = {
    "Status", "StatusDescription", "Stable", "Version", "VersionTag", "SubmitTime", "CreateIndex",
    "ModifyIndex", "JobModifyIndex", "NomadTokenID", "NodePool",
}  # fmt: skip
"""What Nomad adds to a job that it has."""
IMPLIED: Final = [
    {"LTarget": "${attr.os.signals}", "Operand": "set_contains", "RTarget": "SIGTERM"},
    {"LTarget": "${attr.nomad.version}", "Operand": "semver", "RTarget": ">= 1.7.0-a"},
]
"""The constraints that Nomad itself adds for a signal and an identity."""
DEFAULT: Final = {"Name": "default", "Audience": ["nomadproject.io"]}
"""The identity that Nomad gives each task, which is in no file and no environment."""


def made(sender: Sender, label: str, **options: Any) -> int:
    """Return the jid of a job with any label, as a foreign client may submit it; it fails
    at once.
    """
    body = SUBMIT.body()
    body["options"] = body["options"] | {"label": label} | options
    reply = sender.send("POST", "/v1/jobs", body)
    assert reply.status == 200, reply
    return int(reply.body()["first"])


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_label_comes_back_as_it_was(client: Client, sender: Sender, kind: str) -> None:
    """A label is returned byte by byte, can be searched for, and has no other effect."""
    label = HOSTILE[kind]

    jid = made(sender, label)

    client.join(jid, 60, ignore_errors=True)
    assert client.info(jid, "label")[jid]["label"] == label
    assert [job.jid for job in client.listed(ListRequest(label=label)).jobs][:1] == [jid]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_terminal_is_shown_harmless_text(
    picloud: Callable[..., Exited], sender: Sender, kind: str
) -> None:
    """JSON has the whole label; no control character of it reaches a reader of the list."""
    jid = made(sender, HOSTILE[kind])

    listed = json.loads(picloud("jobs", "-n", "1", "--json").out)
    hint = picloud("--api-key", HOSTILE[kind].replace("\0", ""), "status", str(jid))

    assert listed[0]["label"] == HOSTILE[kind]
    assert hint.code in (1, 2), "refused by the server, or by the command as no key is like this"
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(hint.err)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("option", ["core_type", "env", "vols", "function_name", "os_env_vars"])
def test_every_other_name_is_refused_or_kept(
    sender: Sender, client: Client, option: str, kind: str
) -> None:
    """Every other name in a submit is one of a closed list, refused in a sentence, or
    just stored.
    """
    body = SUBMIT.body()
    text = HOSTILE[kind]
    if option == "function_name":
        body["function_name"] = text
    else:
        value: Any = {"vols": [text], "os_env_vars": {text: text}}.get(option, text)
        body["options"] = body["options"] | {option: value}

    reply = sender.send("POST", "/v1/jobs", body)

    assert reply.status in (200, 422), reply
    if reply.status == 200:
        assert option in ("function_name", "os_env_vars", "env", "vols"), reply
        jid = reply.body()["first"]
        if option == "function_name":
            assert client.info(jid, "function")[jid]["function"] == text
        client.kill(jid)


class NomadJobs:
    """The jobs that the Nomad of a stack has."""

    def __init__(self, stack: HashiCorpStack) -> None:
        self._gateway = NomadGateway(nomad.access(stack.addresses().nomad), connections=1)
        self._nomad = stack.addresses().nomad
        of = read(["--data", str(stack.data)], {}).nomad
        worker = (of.python, "-P", "-m", "picloud_worker")
        self._site = SlotSite(url=stack.url, worker=worker, user=of.user)
        if slots := stack.addresses().slots:
            self._site = SlotSite(
                url=url_for(slots.host, stack.url),
                driver=Driver.DOCKER,
                container=slots.image,
                network=slots.network,
            )

    def jobs(self) -> list[dict[str, Any]]:
        """Return every job as Nomad has it."""
        names = [each["ID"] for each in nomad_requests.get(self._nomad, "jobs")]
        return [nomad_requests.get(self._nomad, f"job/{name}") for name in names]

    def expected(self, name: str, account: str, core_type: str, count: int) -> dict[str, Any]:
        """Return what Nomad makes of a jobspec with these variables only."""
        job = SlotJob(burst=name, account=account, core_type=core_type, count=count)
        return self._gateway.parse(jobspec(), variables(self._site, job))


def written(job: dict[str, Any]) -> bytes:
    """Return a job as bytes, without what Nomad adds and without empty values."""
    content = without_empty({name: value for name, value in job.items() if name not in NOTED})
    return json.dumps(content, sort_keys=True).encode()


def without_empty(value: Any) -> Any:
    """Return a value without its empty parts, which Nomad writes in several ways."""
    if isinstance(value, dict):
        inner = {name: without_empty(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if each}
    return [without_empty(each) for each in value] if isinstance(value, list) else value


def with_implied(job: dict[str, Any]) -> dict[str, Any]:
    """Return a job with what Nomad adds when it is registered."""
    (group,) = job["TaskGroups"]
    (task,) = group["Tasks"]
    more = {"Constraints": group["Constraints"] + IMPLIED, "Tasks": [task | {"Identity": DEFAULT}]}
    # A link is read back under another name than it was sent with.
    links = [{"Label": link["Label"], "Url": link["URL"]} for link in job["UI"]["Links"]]
    return job | {"TaskGroups": [group | more], "UI": job["UI"] | {"Links": links}}


def test_nothing_of_a_user_gets_into_a_jobspec(
    stack: Stack, sender: Sender, client: Client
) -> None:
    """Jobs in Nomad contain opaque ids and numbers: each is, byte by byte, the one that these make.
    Without Nomad, nothing of a user is in a slot's command line.
    """
    marks = [f"{text} canary-7f3a" for text in HOSTILE.values()]
    hostile = {f"{name} canary-7f3a": "canary-7f3a" for name in HOSTILE}
    hostile[HOSTILE["interpolation"]] = HOSTILE["template"]
    jids = [
        made(sender, mark[-200:], os_env_vars=hostile, core_type=core_type)
        for core_type in ("c2", "c1")
        for mark in marks
    ]
    client.join(jids, 100, ignore_errors=True)

    if isinstance(stack, HashiCorpStack):
        nomads = NomadJobs(stack)
        jobs = until(nomads.jobs, "Nomad has jobs")
        text = json.dumps(jobs)
        assert {job["Meta"]["core_type"] for job in jobs} >= {"c2"}
        for job in jobs:
            assert is_burst(job["ID"])
            assert job["Meta"]["account"] in {"a0000001", "a0000002"}
            meta, count = job["Meta"], job["TaskGroups"][0]["Count"]
            expected = nomads.expected(job["ID"], meta["account"], meta["core_type"], count)
            assert written(job) == written(with_implied(expected))
    else:
        text = json.dumps([process.cmdline() for process in stack.slots()])
    assert text != "[]"
    assert "canary-7f3a" not in text
    assert stack.key not in text
    assert "pk_" not in text
    assert "pj_" not in text
