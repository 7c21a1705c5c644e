#!/usr/bin/env bash
# mfusepy 3.1.1 over libfuse 3.14: a file system that SIGTERM ends in order raises RuntimeError(8).
#
# libfuse unmounts on SIGTERM, calls destroy() and returns from its loop with the number of the signal (15). fuse_main
# turns every return of the loop other than 0 into 8, "an error occurred during the life of the file system", and mfusepy
# raises that as RuntimeError(8). fusermount3 -u, which does the same work, returns 0 and raises nothing. So a
# supervisor that stops a mount by SIGTERM sees a traceback and exit status 1 although everything was written and the
# mount point is free: take the absence of the mount, or a call of destroy(), as the sign of an orderly end.
#
# Needs /dev/fuse, and Debian's fuse3 (libfuse 3.14.0), as root.
# Seen (mfusepy 3.1.1, libfuse 3.14.0):
#     fusermount3: destroyed, returned
#     SIGTERM: destroyed, RuntimeError(8)
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mfusepy==3.1.1
cat > "$work/program.py" <<'PY'
import stat
import sys

import mfusepy


class Empty(mfusepy.Operations):
    use_ns = True

    def getattr(self, path, fh=None):
        if path != "/":
            raise mfusepy.FuseOSError(2)
        return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}

    def readdir(self, path, fh):
        return [".", ".."]

    def destroy(self, path):
        print("destroyed", end=", ", flush=True)


try:
    mfusepy.FUSE(Empty(), sys.argv[1], foreground=True, nothreads=True)
    print("returned")
except RuntimeError as error:
    print(repr(error))
PY
mkdir "$work/mount"
run() {
    "$work/venv/bin/python" "$work/program.py" "$work/mount" > "$work/out" & local pid=$!
    until mountpoint -q "$work/mount"; do kill -0 $pid; sleep 0.05; done
    if [ "$1" = SIGTERM ]; then kill -TERM $pid; else fusermount3 -u "$work/mount"; fi
    wait $pid
    if mountpoint -q "$work/mount"; then echo "still mounted"; exit 1; fi
    echo "$1: $(cat "$work/out")"
}
seen=$(run fusermount3; run SIGTERM)
echo "$seen"
grep -qx 'fusermount3: destroyed, returned' <<<"$seen"
grep -qx 'SIGTERM: destroyed, RuntimeError(8)' <<<"$seen" || { echo "changed: SIGTERM ends it otherwise"; exit 1; }
