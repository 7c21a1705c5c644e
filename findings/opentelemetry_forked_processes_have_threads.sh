#!/usr/bin/env bash
# opentelemetry-sdk 1.45.2: once a TracerProvider exists, every os.fork() returns in a child that has a second thread.
#
# The provider registers a function for forked children which detects resources anew (process id, host), and resources are
# detected in a thread pool, also if there is only one detector. So the child of a fork is not single-threaded when it
# gets control, as it was before tracing was switched on, and as setns(CLONE_NEWNS), unshare(CLONE_NEWUSER) and some
# other system calls demand: they fail with EINVAL. The thread ends a moment later, so that it depends on luck.
# It is so although nothing was recorded or exported. A provider is kept until its shutdown() by atexit, and by the
# global that set_tracer_provider fills, which cannot be set back.
#
# Seen (opentelemetry-sdk 1.45.2, Python 3.11, Linux): without a provider 0 of 200 children start a thread; with one, 200
# of 200; after its shutdown() and deletion 0 of 200.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2
cat > "$work/program.py" <<'PY'
import gc
import os
import threading

from opentelemetry.sdk.trace import TracerProvider

CHILDREN = 200
started = []
start = threading._start_new_thread


def counted(*arguments):
    started.append(os.getpid())
    return start(*arguments)


threading._start_new_thread = counted


def children_with_threads():
    count = 0
    for _ in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            os._exit(os.getpid() in started)
        _, status = os.waitpid(pid, 0)
        count += os.waitstatus_to_exitcode(status)
    return count


print("without:", children_with_threads())
provider = TracerProvider()
print("with:", children_with_threads())
provider.shutdown()
del provider
gc.collect()
print("after:", children_with_threads())
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
grep -qx 'without: 0' <<<"$seen"
grep -qx 'with: 200' <<<"$seen" || { echo "changed: children of a process with a provider have no second thread"; exit 1; }
grep -qx 'after: 0' <<<"$seen" || { echo "changed: a provider that was shut down still acts in children"; exit 1; }
