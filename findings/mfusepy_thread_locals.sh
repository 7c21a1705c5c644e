#!/usr/bin/env bash
# mfusepy 3.1.1: what an operation keeps in `threading.local` is gone at the next operation, though the thread is the same.
#
# libfuse 3 calls operations in threads of its own. They were not started by Python, so ctypes makes a Python thread for
# each callback and drops it, with its locals, when the callback returns. The native thread and `threading.get_ident`
# stay the same, `len(threading.enumerate())` does not grow, and nothing warns. Connections that a library keeps for each
# thread, as botocore, requests and sqlite3 programs often do, are therefore opened anew for every file that is opened.
# With `nothreads=True` operations run in the thread that called `FUSE`, and locals stay.
#
# Seen (mfusepy 3.1.1, libfuse 3.14): 30 operations in a few native threads: 30 times a new local; with nothreads: once.
# Needs libfuse3 (fusermount3) and /dev/fuse.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mfusepy==3.1.1
cat > "$work/program.py" <<'PY'
import os, stat, subprocess, sys, threading, time

import mfusepy

OPERATIONS = 30
mountpoint, without_threads = sys.argv[1], sys.argv[2] == "nothreads"
local, made, natives, idents = threading.local(), [], set(), set()

class OneFile(mfusepy.Operations):
    """A root directory; each look at a missing name counts."""

    use_ns = True

    def getattr(self, path, fh=None):
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        if not hasattr(local, "connection"):
            local.connection = object()
            made.append(path)
        natives.add(threading.get_native_id())
        idents.add(threading.get_ident())
        raise mfusepy.FuseOSError(2)

def use():
    while not os.path.ismount(mountpoint):
        time.sleep(0.02)
    for number in range(OPERATIONS):
        # In another process: a request to the own file system must not wait for the lock of this interpreter.
        subprocess.run(["stat", f"{mountpoint}/missing{number}"], capture_output=True)
    subprocess.run(["fusermount3", "-u", mountpoint], check=True)

threading.Thread(target=use, daemon=True).start()
mfusepy.FUSE(OneFile(), mountpoint, foreground=True, nothreads=without_threads)
print("locals made:", len(made), "operations:", OPERATIONS,
      "fewer threads than operations:", len(natives) < OPERATIONS and len(idents) < OPERATIONS)
PY
for way in threads nothreads; do
  mkdir -p "$work/mount"
  seen=$(timeout 60 "$work/venv/bin/python" "$work/program.py" "$work/mount" "$way")
  echo "$way: $seen"
done | tee "$work/seen"
grep -qx 'nothreads: locals made: 1 operations: 30 fewer threads than operations: True' "$work/seen"
! grep -q '^threads: locals made: 1 ' "$work/seen" || { echo "changed: locals stay now"; exit 1; }
grep -qx 'threads: locals made: 30 operations: 30 fewer threads than operations: True' "$work/seen"
