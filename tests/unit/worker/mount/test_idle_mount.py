"""The bucket at its path: mounted with the slot, served from the first use on."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

from picloud_worker.mount.idle_mount import answer

if TYPE_CHECKING:
    from pathlib import Path

FIRST = struct.pack("=IIQQIIIHH16I", 104, 26, 2, *[0] * 6, 7, 45, 131_072, 0x73FF_FFFB, *[0] * 12)
EXTENDED = 1 << 30
"""libfuse says that a second word of flags follows, in which it asks for nothing."""

LIBFUSE = """
import os, socket, sys, threading
from mfusepy import FUSE
from picloud_worker.mount.filesystem import BucketFileSystem
from picloud_worker.mount.request import REQUEST_BYTES

ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ours.send(bytes.fromhex(sys.argv[1]))

def show():
    print(ours.recv(4096).hex(), flush=True)
    os._exit(0)

threading.Thread(target=show).start()
FUSE(
    BucketFileSystem(None, "/tmp", (0, 0)), f"/dev/fd/{theirs.fileno()}", foreground=True,
    nothreads=False, max_read=REQUEST_BYTES,
)
"""

SLOT = """
import os, selectors, sys, threading
from pathlib import Path
from picloud_worker.mount.bucket_mount import BucketMount
from picloud_worker.mount.idle_mount import IdleMount

owner = (os.getuid(), os.getgid())
selector = selectors.DefaultSelector()
idle = IdleMount.begin(owner)
mount = BucketMount("http://127.0.0.1:9", "token", Path(sys.argv[1]), owner=owner, idle=idle)
mount.use(selector)
print(selector.select(0.0), mount.server, Path("/proc/thread-self/children").read_text() == "")

def look(done):
    try:
        done.append(os.path.ismount("/bucket"))
    finally:
        os.write(writer, b"x")

def looked():
    done = []
    looking = threading.Thread(target=look, args=(done,))
    looking.start()
    ended = False
    while not ended:
        for key, _ in selector.select():
            ended = ended or key.fd == reader
            if key.data:
                key.data()
    os.read(reader, 1)
    looking.join()
    return done

reader, writer = os.pipe()
selector.register(reader, selectors.EVENT_READ)
print(looked(), looked(), mount.server is not None)
before = mount.server
before._process.kill()
before._process.wait()
mount.notice()
print(before.is_lost, looked(), mount.server is before)
while not mount.reply().ready:
    selector.select(0.1)
print(mount.reply().path)
mount.close()
"""


def run(program: str, *arguments: str) -> list[str]:
    """The lines that a program prints."""
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "FUSE_LIBRARY_PATH": "libfuse3.so.3"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return ended.stdout.splitlines()


def test_the_kernel_gets_the_answer_that_libfuse_gives() -> None:
    """What serves the mount later has agreed on the same requests with the kernel."""
    (line,) = run(LIBFUSE, FIRST.hex())

    theirs = bytearray.fromhex(line)
    (flags,) = struct.unpack_from("=I", theirs, 28)
    struct.pack_into("=I", theirs, 28, flags & ~EXTENDED)
    assert answer(FIRST) == bytes(theirs)


def test_a_mount_is_served_from_its_first_use_on_and_again_after_a_loss(tmp_path: Path) -> None:
    """Until a program looks at it, nothing runs for it, and nothing is to be done."""
    assert run(SLOT, str(tmp_path)) == [
        "[] None True",
        "[True] [True] True",
        "True [True] False",
        "/bucket",
    ]
    assert not os.path.ismount("/bucket")
