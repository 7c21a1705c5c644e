#!/usr/bin/env bash
# libfuse 3.14 (mfusepy 3.1.1): unlink() of an open file says EBUSY while the file system answers every request with EIO.
#
# The high-level interface does not remove a file that somebody has open: it renames it to .fuse_hidden..., for which it
# looks with getattr() for a name that is free. Any answer but "no such file" counts as "not free, and give up", and
# unlink() fails with EBUSY, whatever the file system said; neither unlink() nor rename() of the file system is called.
# rename() onto an open file does the same. A file that nobody has open gives the file system's own EIO. So a program
# whose storage is away for a moment is told that the file is in use, and one that repeats on EIO does not repeat. The
# option hard_remove leaves removing to the file system, which then has to serve what is still open.
#
# Needs /dev/fuse, and Debian's fuse3 (libfuse 3.14.0), as root.
# Seen (mfusepy 3.1.1, libfuse 3.14.0):
#     unlink, nobody has it open: EIO, the file system was asked: unlink
#     unlink, open: EBUSY, the file system was asked: nothing
#     rename onto an open file: EBUSY, the file system was asked: nothing
#     unlink, open, hard_remove: EIO, the file system was asked: unlink
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mfusepy==3.1.1
cat > "$work/program.py" <<'PY'
"""Files a, b and c; once the file `away` is there, whatever is not a look at them fails with EIO."""

import errno
import os
import stat
import sys

import mfusepy

mount, away, calls, hard = sys.argv[1:]


class Flaky(mfusepy.Operations):
    use_ns = True

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if path in ("/a", "/b", "/c"):  # as from a cache
            return {"st_mode": stat.S_IFREG | 0o644, "st_nlink": 1}
        self.fail()
        raise mfusepy.FuseOSError(errno.ENOENT)

    def fail(self):
        if os.path.exists(away):
            raise mfusepy.FuseOSError(errno.EIO)

    def change(self, name):
        with open(calls, "a") as log:
            print(name, file=log)
        self.fail()
        return 0

    def readdir(self, path, fh):
        return [".", "..", "a", "b", "c"]

    def unlink(self, path):
        return self.change("unlink")

    def rename(self, old, new):
        return self.change("rename")

    def read(self, path, size, offset, fh):
        return b""


mfusepy.FUSE(
    Flaky(), mount, foreground=True, nothreads=True, attr_timeout=0, entry_timeout=0,
    **({"hard_remove": True} if hard == "yes" else {}),
)
PY
cat > "$work/user.py" <<'PY'
import errno
import os
import sys

mount, away, calls, hard = sys.argv[1:]


def tell(what, call):
    open(calls, "w").close()
    try:
        call()
        seen = "done"
    except OSError as error:
        seen = errno.errorcode[error.errno]
    asked = open(calls).read().split()
    print(f"{what}: {seen}, the file system was asked: {', '.join(asked) or 'nothing'}")


with open(f"{mount}/a", "rb"):
    open(away, "w").close()
    if hard == "yes":
        tell("unlink, open, hard_remove", lambda: os.unlink(f"{mount}/a"))
    else:
        tell("unlink, nobody has it open", lambda: os.unlink(f"{mount}/b"))
        tell("unlink, open", lambda: os.unlink(f"{mount}/a"))
        tell("rename onto an open file", lambda: os.rename(f"{mount}/c", f"{mount}/a"))
PY
mkdir "$work/mount"
run() {
    rm -f "$work/away"
    "$work/venv/bin/python" "$work/program.py" "$work/mount" "$work/away" "$work/calls" "$1" & local pid=$!
    until mountpoint -q "$work/mount"; do kill -0 $pid; sleep 0.05; done
    "$work/venv/bin/python" "$work/user.py" "$work/mount" "$work/away" "$work/calls" "$1" || true
    fusermount3 -u "$work/mount"
    wait $pid
}
seen=$(run no; run yes)
echo "$seen"
expected='unlink, nobody has it open: EIO, the file system was asked: unlink
unlink, open: EBUSY, the file system was asked: nothing
rename onto an open file: EBUSY, the file system was asked: nothing
unlink, open, hard_remove: EIO, the file system was asked: unlink'
[ "$seen" = "$expected" ] || { echo "changed: other errors, or other requests"; exit 1; }
