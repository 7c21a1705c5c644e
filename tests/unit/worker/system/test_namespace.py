"""Mount namespaces: what is mounted for one process is there for no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import picloud_worker
import pytest

PROGRAM = """
import os, sys
from pathlib import Path
from picloud_worker.system import namespace

folder, *paths = sys.argv[1:]
os.chdir("/tmp")
Path(folder, "work").mkdir()
assert namespace.enter()
namespace.bind({path: folder for path in paths}, Path(folder, "work"))
for number, path in enumerate(paths):
    assert Path(path, "file").read_text() == "content"
    Path(path, f"new{number}").write_text("written")
assert os.getcwd() == "/tmp"
assert Path("/proc/self/status").exists()
print(os.getuid())
"""
NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("uid", [0, NOBODY])
def test_directories_are_mounted_for_one_process(tmp_path: Path, uid: int) -> None:
    """At paths that exist and at paths that do not, for root and for other users."""
    base = Path("/tmp") / f"namespace-{uuid4().hex}"
    folder = base / "folder"
    folder.mkdir(parents=True)
    (folder / "file").write_text("content", encoding="utf-8")
    (base / "there").mkdir()
    for path in (folder, folder / "file"):
        os.chown(path, uid, uid)
    missing = f"/{base.name}"
    paths = [f"{missing}/a/b", f"{missing}/c", str(base / "there"), str(base / "made")]
    source = Path(picloud_worker.__file__).parent / "system" / "namespace.py"
    program = PROGRAM.replace("from picloud_worker.system import", "import")
    (base / "namespace.py").write_bytes(source.read_bytes())

    ran = subprocess.run(
        [_python(uid), "-c", program, str(folder), *paths],
        cwd=base,
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )

    try:
        assert ran.stderr == ""
        assert (ran.returncode, ran.stdout) == (0, f"{uid}\n")
        assert {each.name for each in folder.iterdir()} >= {"new0", "new1", "new2", "new3"}
        assert not Path(missing).exists()
        assert not [*(base / "there").iterdir()]
        assert str(base) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    finally:
        subprocess.run(["rm", "-r", str(base)], check=True)


def _python(uid: int) -> str:
    """Return an interpreter that this user may run."""
    system = Path("/usr/bin/python3")
    return sys.executable if uid == 0 or not system.exists() else str(system)
