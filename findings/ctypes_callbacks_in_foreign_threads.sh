#!/usr/bin/env bash
# Since Python 3.11, each ctypes callback from a thread that Python did not start maps and unmaps memory; cffi's do not.
#
# ctypes makes a thread state when such a thread calls back, and destroys it when the callback returns. Since 3.11 the
# frames of Python functions are in a chunk of memory that belongs to the thread state: it is mapped for the first call
# of a function and unmapped with the state, so that every single callback costs two system calls and a page fault.
# On the machine where this was seen it took 6.3 us instead of 0.13 us; with Python 3.10 0.3 us. Audio, FUSE and USB
# libraries call back in threads of their own, thousands of times a second.
# cffi keeps the thread state as long as the thread lives: 0.27 us from either kind of thread.
#
# Seen (Python 3.11, 3.12 and 3.13, cffi 2.0.0, Linux): 1.0 page faults a callback with ctypes, 0.0 with cffi; Python 3.9
# and 3.10: 0.0 with both. Needs a C compiler; PYTHON names the interpreter.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check cffi==2.0.0
cd "$work"
cat > calls.c <<'C'
#include <pthread.h>

typedef int (*callback)(int);
static callback called;
static int times;

static void *run(void *unused) {
    for (int number = 0; number < times; number++) called(number);
    return unused;
}

void from_caller(callback function, int count) {
    called = function;
    times = count;
    run(0);
}

void from_new_thread(callback function, int count) {
    pthread_t thread;
    called = function;
    times = count;
    pthread_create(&thread, 0, run, 0);
    pthread_join(thread, 0);
}
C
cc -O1 -shared -fPIC -pthread -o libcalls.so calls.c
cat > program.py <<'PY'
import ctypes
import resource
import sys

import cffi

CALLS = 10_000


def same(number):
    return number


def faults_per_call(run):
    run(100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    run(CALLS)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / CALLS


by_ctypes = ctypes.CDLL("./libcalls.so")
ctypes_callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(same)
ffi = cffi.FFI()
ffi.cdef("typedef int (*callback)(int); void from_caller(callback, int); void from_new_thread(callback, int);")
by_cffi = ffi.dlopen("./libcalls.so")
cffi_callback = ffi.callback("int(int)", same)

print("python", *sys.version_info[:2])
for name, library, callback in ("ctypes", by_ctypes, ctypes_callback), ("cffi", by_cffi, cffi_callback):
    for where in "from_caller", "from_new_thread":
        count = faults_per_call(lambda times: getattr(library, where)(callback, times))
        print(f"{name} {where} {count:.1f}")
PY
seen=$(venv/bin/python program.py)
echo "$seen"
expected=1.0
case "$seen" in "python 3 9"*|"python 3 10"*) expected=0.0 ;; esac
grep -qx "ctypes from_new_thread $expected" <<<"$seen" || { echo "changed: page faults of ctypes callbacks"; exit 1; }
for line in "ctypes from_caller" "cffi from_caller" "cffi from_new_thread"; do
  grep -qx "$line 0.0" <<<"$seen" || { echo "changed: $line has page faults"; exit 1; }
done
