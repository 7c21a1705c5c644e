"""`cloud.environment`, `_env` and `picloud env`, on every stack that builds environments."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, environment
from picloud_driver.docker.slot_base import BASES

from tests.current_client import current_client
from tests.e2e.environment_probe import ask, ask_answer, ask_in_jobs, prefix, wait_for, wait_only
from tests.e2e.stack_docker import DockerStack
from tests.servers import image as base_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

_ON_ANOTHER_PYTHON = """if True:
    import cloud, sys
    print(*cloud.result(cloud.call(lambda: (sys.version_info[:2], sys.prefix)), 60))
    try:
        cloud.call(pow, 2, 2, _env="base/bookworm")
    except cloud.CloudException as error:
        print(error)
"""
PACKAGES = f"lib/python3.{sys.version_info.minor}/site-packages"
WAIT_S = 60.0


def recipe(folder: Path, answer: int) -> Path:
    """Write a recipe of an environment with a module `gadget`, and return its path."""
    (folder / "gadget.py").write_text(f"answer = {answer}\n")
    file = folder / "environment.toml"
    file.write_text(
        f"test = 'python -c \"import gadget; print(gadget.answer)\"'\n"
        f"[files]\n'{PACKAGES}/gadget.py' = 'gadget.py'\n"
    )
    return file


def test_jobs_run_in_the_environment_that_they_name(
    client: Client, stack: Stack, tmp_path: Path
) -> None:
    """Calls, maps and jobs of jobs; one that was submitted before a build keeps its version."""
    log: list[str] = []
    with current_client(client):
        environment.build("versions", recipe(tmp_path, 1), show=log.append)
        one, where = client.result(client.call(ask, _env="versions"), WAIT_S)
        go = stack.shared / "the-version-changes"
        waiting = client.call(wait_for, str(go), _env="versions")
        environment.build("versions", recipe(tmp_path, 2), show=log.append)
        go.touch()
        two = client.result(client.map(ask_answer, range(3), _env="versions"), WAIT_S)
        base = environment.list_bases()[0]["name"]
        inner = client.result(client.call(ask_in_jobs, base, _env="versions"), WAIT_S)

        assert (one, two) == (1, [2, 3, 4])
        assert "=== test\n1\n" in "".join(log)
        assert client.result(waiting, WAIT_S) == (1, where)
        outside = client.result(client.call(prefix), WAIT_S)
        assert outside != where
        assert inner[0][0] == 2
        assert inner[1] == outside
        assert [each["version"] for each in environment.history("versions")] == [1, 2]
        assert environment.rollback("versions", 1)["version"] == 3
        assert client.result(client.call(ask, _env="versions"), WAIT_S) == (1, where)
        environment.delete("versions")
        with pytest.raises(CloudException, match="no environment 'versions'"):
            client.call(ask, _env="versions")


def test_another_account_runs_jobs_in_a_public_environment(
    client: Client, other: Client, tmp_path: Path
) -> None:
    """And clones it; the clone outlives it."""
    with current_client(client):
        environment.build("shared", recipe(tmp_path, 7), show=len)
        path = environment.make_public("shared")
    with current_client(other):
        assert other.result(other.call(ask, _env=path), WAIT_S)[0] == 7
        assert path in [each["path"] for each in environment.list_envs(public=True)]
        environment.clone(path, "own")
    with current_client(client):
        environment.delete("shared")
    with current_client(other):
        with pytest.raises(CloudException, match="no public environment"):
            other.call(ask, _env=path)
        assert other.result(other.call(ask, _env="own"), WAIT_S)[0] == 7
        environment.delete("own")


def test_a_failed_build_is_an_error_with_its_output(client: Client) -> None:
    """It names the step; jobs in an environment that was never built are refused."""
    wrong = {"test": "python -c 1/0"}
    with current_client(client):
        with pytest.raises(CloudException, match=r"'failing' was not built: test: .*by zero"):
            environment.build("failing", wrong, show=len)
        assert environment.get("failing")["status"] == "failed"
        assert "ZeroDivisionError" in environment.log("failing")
        with pytest.raises(CloudException, match="has not been built yet"):
            client.call(ask, _env="failing")
        environment.delete("failing")


def test_environments_from_the_shell(picloud: Callable[..., Exited], tmp_path: Path) -> None:
    """The command builds, lists, describes and deletes; shell jobs find its programs first."""
    built = picloud("env", "build", "tools", "-f", str(recipe(tmp_path, 5)), "-d", "of mine")
    assert built.code == 0, built.err
    assert "=== test\n5\n" in built.out
    assert built.out.splitlines()[-1].startswith("tools is version 1, ")
    listed = picloud("env", "list", "-n", "tools").out.splitlines()
    name, *_, base = listed[1].split("\t")[:4]
    assert name == "tools"
    assert base.startswith("base/")
    command = ("python", "-c", "import gadget; print(gadget.answer)")
    jid = picloud("exec", "-e", "tools", *command).out.strip()
    assert picloud("result", jid).out == "5\n"
    old = picloud("exec", "-e", "base/precise", "true")
    assert old.err.startswith("warning: base/precise no longer exists: jobs run on the base with")
    assert (old.code, old.err.count("\n")) == (0, 1)
    assert "status: ready\n" in picloud("env", "info", "tools").out
    again = tmp_path / "again.toml"
    again.write_text(picloud("env", "recipe", "tools").out)
    rebuilt = picloud("env", "build", "tools", "-f", str(again)).out
    assert rebuilt.splitlines()[-1].startswith("tools is version 1, ")
    assert picloud("env", "recipe", "tools", "--version", "9").err == (
        "error: The environment 'tools' has no version 9; it has 1.\n"
    )
    assert picloud("env", "edit-info", "tools", "-n", "tools-2").code == 0
    assert picloud("env", "clone", "tools-2").out == "tools-2_clone\n"
    for name in ("tools-2", "tools-2_clone"):
        assert picloud("env", "delete", name).code == 0
    unknown = picloud("env", "info", "tools")
    assert (unknown.code, unknown.err) == (
        1,
        "error: There is no environment 'tools' in your account.\n",
    )


@pytest.mark.parametrize("stack", ["embedded", "hashicorp"], indirect=True)
def test_jobs_run_with_the_packages_of_the_program(
    client: Client, stack: Stack, tmp_path: Path
) -> None:
    """Those of a program with another Python, or of its project's lock; they are built once."""
    with current_client(client):
        environment.build("small", {"files": {}}, show=len)
        where = client.result(client.call(prefix, _env="small"), WAIT_S)
    program = tmp_path / "program.py"
    program.write_text(
        "import cloud, sys\n"
        "def prefix(): return sys.prefix\n"
        "cloud.config.environment = 'auto'\n"
        "named = cloud.call(prefix, _env='auto')\n"
        "print(*set(cloud.result([named, cloud.call(prefix)], timeout=60)))\n"
        "print(*[each['desc'] for each in cloud.environment.list_envs() "
        "if each['name'].startswith('auto-')], sep=',')\n"
    )

    def run(python: str) -> tuple[str, str]:
        done = subprocess.run(
            [python, str(program)],
            env=stack.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=WAIT_S,
        )
        return done.stdout, done.stderr

    assert run(f"{where}/bin/python") == (f"{where}\nmade for _env='auto'\n", "")
    # This Python has many packages, of which the project wants none.
    (tmp_path / "pylock.toml").write_text("lock-version = '1.0'\npackages = []\n")
    assert run(sys.executable) == (f"{where}\nmade for _env='auto'\n", "")


@pytest.mark.parametrize("stack", ["embedded", "hashicorp"], indirect=True)
def test_a_shell_in_an_environment(
    client: Client, stack: Stack, picloud: Callable[..., Exited]
) -> None:
    """The environment needs no SSH server; `python` in the shell is its own."""
    with current_client(client):
        environment.build("bare", {"files": {}}, show=len)
        go = stack.shared / "the-shell-has-closed"
        go.unlink(missing_ok=True)
        jid = client.call(wait_only, str(go), _env="bare")

        shown = picloud("ssh", str(jid), "python", "-c", "'import sys; print(sys.prefix)'")

        go.touch()
        assert shown.out == client.result(jid, WAIT_S) + "\n", shown.err
        environment.delete("bare")


@pytest.mark.containers(only=True)
def test_code_of_an_environment_never_runs_as_root(
    client: Client, stack: Stack, tmp_path: Path
) -> None:
    """Neither while it is built nor in a slot, which starts before any of its packages."""
    seen = stack.shared / "seen"
    seen.mkdir()
    spy = f"os.path.isdir('{seen}') and open(f'{seen}/{{os.getuid()}}', 'w').close()"
    (tmp_path / "spy.pth").write_text(f"import os; {spy}\n")
    spied = {"files": {f"{PACKAGES}/spy.pth": str(tmp_path / "spy.pth")}, "test": "id -u"}
    log: list[str] = []
    with current_client(client):
        environment.build("spied", spied, show=log.append)
        uid = client.result(client.call(os.getuid, _env="spied"), WAIT_S)
        environment.delete("spied")

    assert "=== test\n65534\n" in "".join(log)
    assert uid > 0
    assert [int(each.name) for each in seen.iterdir()] == [uid]
    shutil.rmtree(seen)


@pytest.mark.containers(only=True)
def test_an_environment_in_containers_is_built_on_their_image(
    client: Client, stack: Stack, tmp_path: Path
) -> None:
    """A Python names the image that has it; what cannot be a Debian package is refused."""
    (tmp_path / "pylock.toml").write_text("lock-version = '1.0'\npackages = []\n")
    program = tmp_path / "program.py"
    program.write_text(
        "import cloud, sys\n"
        "print(cloud.result(cloud.call(lambda: sys.prefix, _env='auto'), timeout=60))\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)],
        env=stack.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * WAIT_S,
    )
    assert done.stdout == "/opt/environment\n", done.stderr
    with current_client(client):
        assert environment.list_bases()[0]["name"] == "base/bookworm"
        assert client.result(client.call(prefix, _env="base/python3.11"), WAIT_S) == "/usr"
        for wrong in ("--allow-unauthenticated", "vim-", "a b"):
            with pytest.raises(CloudException, match="is not a valid Debian package"):
                environment.build("any", {"apt": [wrong]}, show=len)


@pytest.mark.containers(only=True)
def test_jobs_in_containers_run_on_the_base_with_their_own_python(
    client: Client, stack: Stack
) -> None:
    """A client on Python 3.13 gets `base/trixie`; the other base is refused, and names that one."""
    assert isinstance(stack, DockerStack)
    trixie = base_image.load(stack.daemon, BASES[1])
    slots = stack.addresses().slots
    assert slots is not None
    url = f"http://{slots.host}:{stack.url.rpartition(':')[2]}"
    variables = ("--env", f"PICLOUD_URL={url}", "--env", f"PICLOUD_API_KEY={stack.key}")
    run = ("run", "--rm", "--network", slots.network, *variables, "--entrypoint", "python3", trixie)

    done = stack.daemon.docker(*run, "-P", "-c", _ON_ANOTHER_PYTHON)

    refusal = (
        "The base 'base/bookworm' has Python 3.11, but the jobs come from Python 3.13; "
        "base/trixie has that version: name that one."
    )
    assert done.stdout.splitlines() == ["(3, 13) /opt/environment", refusal]
    with current_client(client):
        assert [each["python"] for each in environment.list_bases()] == ["3.11", "3.13"]
        with pytest.raises(CloudException, match="base/bookworm has that version: name that one"):
            client.call(pow, 2, 2, _env="base/trixie")
