"""The process that mounts buckets in containers: at once, for whom, and again after a loss."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from picloud_worker.mount.bucket_mount import BucketMount

from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator


SUPERVISOR = """
import ctypes, os, selectors, subprocess, sys
from pathlib import Path
import psutil
from picloud_worker.mount.bucket_mount import BucketMount
from picloud_worker.system import namespace, procfs

USER = 1234

def until(condition):
    while not condition():
        for key, _ in selector.select(0.01):
            key.data()

def servers():
    for process in psutil.Process(int(sys.argv[1])).children():
        if "picloud_worker.mount" in process.cmdline():
            yield process

directory, volume, work = map(Path, sys.argv[2:])
Path("/bucket").mkdir(exist_ok=True)
assert namespace.enter()
assert ctypes.CDLL(None).unshare(0x40000000) == 0  # a network of its own
namespace.bind({"/alloc/bucket": str(directory)}, work)
subprocess.run(["mount", "-t", "tmpfs", "none", volume], check=True)
(volume / "file").mkdir()
os.chown(volume, USER, USER)
selector = selectors.DefaultSelector()
container = os.open(directory, os.O_RDONLY)
owner = (USER, USER)
mount = BucketMount("http://127.0.0.1:9", "t", directory, owner=owner, container=container)
until((directory / "mounts").exists)
mount.use(selector)
mount.notice()
print(mount.server.answer.ready, mount.server.is_used, [*servers()])
print(procfs.mount_at("/bucket") is not None)
program = "exec 3</bucket; exec sleep 60"
child = subprocess.Popen(["sh", "-c", program], user=USER, group=USER, extra_groups=[])
until(lambda: mount.server.is_used and child.poll() is None)
until(lambda: psutil.Process(child.pid).name() == "sleep")
for process in servers():
    print(os.path.samefile(f"/proc/{process.pid}/ns/net", "/proc/self/ns/net"))
    process.kill()
until(lambda: mount.losses)
print(mount.has_lost_files(child.pid, 0), mount.has_lost_files(child.pid, 1))
child.kill()
child.wait()
mount.notice()
print(mount.reply().ready, mount.server.is_used, procfs.mount_at("/bucket") is not None)
at = f"{directory}/at"
print(mount.volumes().mount({at: str(volume)}).ready, os.listdir(at))
print(mount.volumes().mount({at: str(volume)}).reason)
mount.volumes().unmount([at])
print(os.listdir(at))
mount.close()
"""
"""A slot in namespaces of its own, as one in a container is."""
HOSTILE = """
import fcntl, json, os, struct, sys, termios, time
from pathlib import Path
from picloud_worker.ipc import machine_socket
from picloud_worker.system import namespace, procfs

directory, other, work = map(Path, sys.argv[1:])
assert namespace.enter()
namespace.bind({"/alloc/bucket": str(directory)}, work)
request = {"url": "http://127.0.0.1:9", "token": "t", "at": "/bucket", "uid": 7, "gid": 7}

def connected(name, folder=directory):
    opened = os.open(folder, os.O_RDONLY)
    listening = machine_socket.listen(opened, name)
    listening.settimeout(30)
    connection, _ = listening.accept()
    connection.settimeout(30)
    return connection

def answered(name, data, folder=directory):
    connection = connected(name, folder)
    kept.append(connection)
    try:
        connection.sendall(data)
        return connection.recv(9999).decode()
    except (ConnectionResetError, BrokenPipeError):
        return ""

def has_ended(connection):
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True

def unread(connection):
    return struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, b"0000"))[0]

kept = []
print("Operation not permitted" in answered("mount", json.dumps(request | {"uid": 0}).encode()))
print("sent no request" in answered("mount", b'{"x":' + b"[" * 9000))
print(repr(answered("volumes", b'{"x":' + b"[" * 9000)))
connection = connected("volumes")
before, count = -1, 0
while count > before:
    before = count
    connection.sendall(b'{"uid":7,"unmount":["/x"]}')
    until = time.monotonic() + (2 if before else 30)
    while (count := unread(connection)) == before and time.monotonic() < until:
        time.sleep(0.001)
print(before > 0)
print(repr(answered("mount", json.dumps(request).encode(), other)))
ready = [json.loads(answered("mount", json.dumps(request).encode()))["ready"] for _ in range(3)]
print(ready, [has_ended(each) for each in kept[-3:-1]])
"""
"""A supervisor that a user has changed."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no containers")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that handles the requests of slots."""
    (tmp_path / "slots").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "picloud_worker.mount.machine", "--slots", str(tmp_path / "slots")]
    )
    yield process
    process.terminate()
    assert process.wait(30) == -signal.SIGTERM


@pytest.fixture
def directory(machine: subprocess.Popen[bytes], tmp_path: Path) -> Path:
    """The directory of a slot for its requests."""
    made = tmp_path / "slots" / "a" / "alloc" / "bucket"
    made.mkdir(parents=True)
    return made


def test_only_containers_get_a_mount(directory: Path, tmp_path: Path) -> None:
    """A process that shares the machine's mounts could hide files of others."""
    descriptor = os.open(directory, os.O_RDONLY)
    mount = BucketMount("http://127.0.0.1:9", "token", tmp_path, owner=(1, 1), container=descriptor)
    mount.use(selectors.DefaultSelector())

    refused = until(lambda: mount.reply().reason, "it is refused")

    assert "does not come from the supervisor of a container" in refused
    mount.close()
    os.close(descriptor)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace without users")
def test_a_slot_has_its_mount_before_its_first_job_and_again_after_a_loss(
    machine: subprocess.Popen[bytes], directory: Path, tmp_path: Path
) -> None:
    """Nothing serves it until it is used; whose files were lost is known.

    A volume is where the job expects it until it ends.
    """
    places = [tmp_path / "volume", tmp_path / "work"]
    for each in places:
        each.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", SUPERVISOR, str(machine.pid), str(directory), *map(str, places)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )

    assert ended.stdout.splitlines() == [
        "True False []",
        "True",
        "True",
        "True False",
        "True False True",
        "True ['file']",
        "[Errno 16] Device or resource busy",
        "[]",
    ]
    assert not os.path.ismount("/bucket")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace without users")
def test_a_hostile_supervisor_gets_one_mount_and_stops_nothing(
    machine: subprocess.Popen[bytes], directory: Path, tmp_path: Path
) -> None:
    """Requests for root, nested without end, never read, or in the name of another slot."""
    other = directory.parents[2] / "b" / "alloc" / "bucket"
    (tmp_path / "work").mkdir()
    other.mkdir(parents=True)
    Path("/bucket").mkdir(exist_ok=True)
    ended = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(directory), str(other), f"{tmp_path}/work"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )

    assert ended.stdout.splitlines() == [
        "True",
        "True",
        "''",
        "True",
        "''",
        "[True, True, True] [True, True]",
    ]
    assert machine.poll() is None
