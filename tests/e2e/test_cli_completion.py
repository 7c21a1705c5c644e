"""Completion: what the installed command offers each shell, run as a process."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import cloud
import pytest
import typer
from picloud.app import app
from picloud.completion import crons, keys, names, objects, volumes
from typer.main import get_command

from tests.current_client import current_client

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

BIN = Path(sys.executable).parent
BASH = """
eval "$SCRIPT"
complete -p picloud >/dev/null || exit 1
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_picloud_completion picloud
printf '%s\\n' "${COMPREPLY[@]}"
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return the environment of a user whose profiles are in a directory of the test."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "PICLOUD_CONFIG_DIR": str(home), "HOME": str(home), **more}


@functools.cache
def script_of_bash() -> str:
    """Return what bash evaluates once; it is the same for every home."""
    return completions(Path(os.devnull), _PICLOUD_COMPLETE="source_bash")


def bash(home: Path, *words: str, **more: str) -> list[str]:
    """Return what bash offers for the last of some words, by the script that it gets."""
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", *words],
        env=environment(home, SCRIPT=script_of_bash(), **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines() if done.stdout.strip() else []


def completions(home: Path, **variables: str) -> str:
    """Return what the command answers to a shell that asks through environment variables."""
    done = subprocess.run(
        ["picloud"],
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout


def test_commands_complete(tmp_path: Path) -> None:
    """Commands complete by the beginning of their names."""
    assert bash(tmp_path, "picloud", "ma") == ["mapexec"]
    assert {"exec", "mapexec", "status", "result"} <= set(bash(tmp_path, "picloud", ""))


def test_options_complete(tmp_path: Path) -> None:
    """The options of the typed command are offered."""
    assert bash(tmp_path, "picloud", "exec", "--depends") == ["--depends-on", "--depends-on-errors"]
    assert bash(tmp_path, "picloud", "up", "--stack", "") == ["embedded", "hashicorp"]


def test_core_types_complete(tmp_path: Path) -> None:
    """Core types are offered where one is expected, described in shells that show descriptions."""
    assert bash(tmp_path, "picloud", "exec", "-t", "") == ["c1", "c2", "f2", "m1", "s1"]
    words = "picloud mapexec --type f"
    assert "f2" in completions(
        tmp_path, _PICLOUD_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=words
    )
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_TYPER_COMPLETE_ARGS": words}
    assert completions(tmp_path, _PICLOUD_COMPLETE="complete_fish", **fish) == "f2\twell-rounded\n"


def test_profiles_complete(tmp_path: Path) -> None:
    """Profiles are offered; nothing is, without a message, if their file is damaged."""
    file = tmp_path / "profiles.toml"
    file.write_text('[profiles.work]\nurl = "http://a.test"\nkey = "pk_a_b"\n')
    assert bash(tmp_path, "picloud", "--profile", "w") == ["work"]

    file.write_text("[")
    assert bash(tmp_path, "picloud", "--profile", "w") == []


def test_jids_and_labels_complete(stack: Stack, client: Client, tmp_path: Path) -> None:
    """The newest are first, also after a comma; shells that show descriptions get them."""
    label = f"label {os.getpid()}"
    first, last = client.map(abs, [1, 2], _label=label)
    client.join([first, last], 60)
    place = {"PICLOUD_URL": stack.url, "PICLOUD_API_KEY": stack.key}

    assert bash(tmp_path, "picloud", "status", "", **place)[:2] == [str(last), str(first)]
    assert bash(tmp_path, "picloud", "kill", f"{first},", **place)[0] == f"{first},{last}"
    fish = {"_TYPER_COMPLETE_FISH_ACTION": "get-args", "_PICLOUD_COMPLETE": "complete_fish"}
    shown = completions(tmp_path, _TYPER_COMPLETE_ARGS=f"picloud join {last}", **fish, **place)
    assert shown == f"{last}\tdone {label}\n"
    escaped = label.replace(" ", "\\ ")
    for typed, offered in ((label[:5], escaped), (escaped[:8], escaped), (f'"{label[:8]}', label)):
        assert offered in bash(tmp_path, "picloud", "jobs", "--label", typed, **place)
    words = "picloud exec --label lab"
    assert label in completions(tmp_path, _TYPER_COMPLETE_ARGS=words, **fish, **place).splitlines()


def test_what_is_stored_completes(
    stack: Stack, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Queues, dictionaries, keys of objects up to the next /, volumes, cron jobs, ids of keys."""
    name = f"complete-{uuid.uuid4().hex[:12]}"
    monkeypatch.setenv("PICLOUD_CONFIG_DIR", str(tmp_path))
    place = {"PICLOUD_URL": stack.url, "PICLOUD_API_KEY": stack.key}
    for variable, value in place.items():
        monkeypatch.setenv(variable, value)
    context = typer.Context(get_command(app))
    with current_client(client):
        cloud.queue.get(name)
        cloud.bucket.putf("", f"{name}/a.csv")
        cloud.bucket.putf("", f"{name}/$(b)")
        cloud.volume.create(name, "/data")
        cloud.cron.register(dict, name, "@yearly")
        cloud.Dict(name).update({"a b": 1, "$(b)": 2})
        assert names.locks(context, name) == []
        with cloud.Lock(name):
            assert names.locks(context, name[:-1]) == [name]
    in_dictionary = typer.Context(get_command(app))
    in_dictionary.params["name"] = name
    in_folder = typer.Context(get_command(app))
    in_folder.params["prefix"] = name

    assert names.queues(context, name) == names.dictionaries(context, name) == [name]
    assert names.dictionary_keys(in_dictionary, "") == ["a b"], "none that a shell would run"
    assert objects.keys(context, name) == [f"{name}/"]
    assert objects.keys(context, f"{name}/") == [f"{name}/a.csv"], "none that a shell would run"
    assert objects.keys(in_folder, "a") == ["a.csv"]
    assert volumes.paths(context, name) == [(f"{name}:", "/data")]
    assert crons.labels(context, name) == [(name, "@yearly")]
    key_id = stack.key.split("_")[1]
    assert keys.ids(context, key_id) == [(key_id, "active")]
    assert bash(tmp_path, "picloud", "queue", "pop", name[:-1], **place) == [name]

    with current_client(client):
        cloud.queue.get(name).delete()
        cloud.bucket.remove_prefix(name)
        cloud.volume.delete(name)
        cloud.cron.deregister(name)
        cloud.Dict(name).clear()


def test_no_jids_without_a_server(tmp_path: Path) -> None:
    """Nothing is offered, without a message and without delay."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but it does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        assert bash(tmp_path, "picloud", "status", "", PICLOUD_URL=url, PICLOUD_API_KEY="a") == []
    assert bash(tmp_path, "picloud", "status", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script(tmp_path: Path, shell: str) -> None:
    """The script calls the command each time, so that it is never out of date."""
    script = completions(tmp_path, _PICLOUD_COMPLETE=f"source_{shell}")

    assert f"_PICLOUD_COMPLETE=complete_{shell}" in script
