"""`cloud.secret`, `_secrets` and `picloud secret`, on every stack."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING
from uuid import uuid4

import cloud
import pytest
from cloud import CloudException

from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited


@pytest.fixture
def name(client: Client) -> Iterator[str]:
    """The name of a secret, which the test sets."""
    with current_client(client):
        made = f"db-{uuid4().hex[:12]}"
        yield made
        if made in [each["name"] for each in cloud.secret.list()]:
            cloud.secret.remove(made)


def test_jobs_find_the_secrets_that_they_name(name: str, tmp_path: Path) -> None:
    """A call and each job of a map find the values of their start; another job finds none."""

    def read(suffix: str = "") -> str:
        return f"{os.environ.get('DB_PASSWORD')}{suffix}"

    env_file = tmp_path / ".env"
    env_file.write_text("DB_PASSWORD='one'\n", encoding="utf-8")
    cloud.secret.set(name, env_file=env_file)
    jids = cloud.map(read, ["a", "b"], _secrets=[name])
    assert cloud.result([*jids, cloud.call(read)]) == ["onea", "oneb", "None"]

    cloud.secret.set(name, {"DB_PASSWORD": "two"})
    assert cloud.job(read, secrets=name).call().result() == "two"
    blocker = cloud.call(read)
    waiting = cloud.call(read, _secrets=name, _depends_on=blocker)
    assert cloud.result(waiting) == "two"

    cloud.secret.remove(name)
    with pytest.raises(CloudException, match=f"There is no secret '{name}' in your account"):
        cloud.call(read, _secrets=name)


def test_a_secret_that_is_removed_fails_the_jobs_that_wait(name: str) -> None:
    """The error names it; other jobs of the slot run on."""
    import time

    cloud.secret.set(name, {"TOKEN": "x"})
    blocker = cloud.call(time.sleep, 1)
    waiting = cloud.call(os.getenv, "TOKEN", _secrets=name, _depends_on=blocker)
    cloud.secret.remove(name)

    with pytest.raises(CloudException, match=f"cannot be had: There is no secret '{name}'"):
        cloud.result(waiting)
    assert cloud.result(cloud.call(os.getenv, "TOKEN")) is None


def test_secrets_from_the_shell(name: str, picloud: Callable[..., Exited], tmp_path: Path) -> None:
    """A command finds a file, which only its user may read; lists and errors show no value."""
    key = tmp_path / "key.pem"
    key.write_text("BEGIN\nEND\n", encoding="utf-8")
    picloud("secret", "set", name, "--as-file", "--from-file", f"TLS_KEY={key}")
    listed = json.loads(picloud("secret", "list", "--json").out)
    shown = [each for each in listed if each["name"] == name]
    jid = picloud("exec", "--secret", name, 'stat -Lc %a "$TLS_KEY"; cat "$TLS_KEY"').out
    refused = picloud("secret", "set", name, given=b"TOKEN=x\nhunter2\n")

    assert [(each["variables"], each["as_file"]) for each in shown] == [(["TLS_KEY"], True)]
    assert cloud.result(int(jid)) == "600\nBEGIN\nEND\n"
    assert refused.code == 2
    assert refused.err.startswith("error: Line 2 of standard input is not of the form NAME=value")
    assert picloud("secret", "rm", name).code == 0
