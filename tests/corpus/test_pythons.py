"""The corpus on every newer Python that this machine has, with jobs of the same Python."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs
import pytest

from tests.corpus import debian_python
from tests.corpus.conftest import PROGRAMS, ROOT, failures
from tests.e2e.stacks import EmbeddedStack

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWER: Final = [f"3.{minor}" for minor in (11, 12, 13, 14) if sys.version_info[:2] != (3, minor)]
PACKAGES: Final = ("--editable", f"{ROOT}[cli,server]", "attrs", "numpy", "pydantic")
CACHE: Final = Path(platformdirs.user_cache_dir("picloud")) / "pythons"


def interpreter(version: str) -> str | None:
    """The path of a Python of this version: on PATH, of pyenv, uv, or `make pythons`."""
    homes = (Path.home() / ".pyenv/versions", Path.home() / ".local/share/uv/python")
    candidates = [f"python{version}"]
    candidates += [
        str(python) for home in homes for python in sorted(home.glob(f"*{version}*/bin/python"))
    ]
    candidates += [str(debian_python.PYTHON)]
    for python in candidates:
        code = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
        try:
            done = subprocess.run(
                [python, "-c", code], capture_output=True, text=True, check=False, timeout=30
            )
        except OSError:
            continue
        if done.stdout.strip() == version:
            return python
    return None


@pytest.fixture(scope="module", params=NEWER)
def python(request: pytest.FixtureRequest) -> str:
    """A Python that has the project installed; made once, and kept while pyproject.toml stays."""
    found = interpreter(request.param)
    if found is None:
        pytest.skip(f"there is no Python {request.param} on this machine")
    state = sha256((ROOT / "pyproject.toml").read_bytes() + bytes(ROOT)).hexdigest()[:12]
    directory = CACHE / f"{request.param}-{state}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    installed = str(directory / "bin/python")
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "ready").exists():
            uv = [sys.executable, "-m", "uv", "--quiet"]
            for command in (
                [*uv, "venv", "--clear", "--seed", "--python", found, str(directory)],
                [*uv, "pip", "install", "--compile-bytecode", "--python", installed, *PACKAGES],
            ):
                subprocess.run(command, check=True, timeout=280)
            (directory / "ready").touch()
    return installed


@pytest.fixture(scope="module")
def own_server(python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A server that runs on this Python, for all programs."""
    stack = EmbeddedStack(tmp_path_factory.mktemp("stack"), python)
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    """A server that runs on the Python of the tests, and has all others on its PATH."""
    folder = str(debian_python.PYTHON.parent)
    stack = EmbeddedStack(tmp_path_factory.mktemp("stack"), folder=folder)
    stack.start()
    yield stack
    stack.stop()


@pytest.mark.timeout(600)
def test_jobs_run_in_the_python_that_they_come_from(python: str, server: EmbeddedStack) -> None:
    """A server on another Python finds one for them, without an environment and with one."""
    code = """if True:
        import sys, cloud
        def minor():
            return sys.version_info[:2]
        base = "base/python{}.{}".format(*minor())
        cloud.environment.build("own", {"base": base}, show=len)
        print(cloud.result([cloud.call(minor), cloud.call(minor, _env="own")], timeout=100))
    """
    done = subprocess.run(
        [python, "-W", "error", "-c", code],
        env=server.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    read = "import sys; print([sys.version_info[:2]] * 2)"
    own = subprocess.run([python, "-c", read], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (own.stdout, "")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_functions_do_in_a_job_what_they_do_at_home(
    python: str, own_server: EmbeddedStack, program: Path, tmp_path: Path
) -> None:
    """Each case of a program gives in its job what is right, on this Python as well."""
    assert failures(python, program, tmp_path, **own_server.environment()) == {}
