#!/usr/bin/env bash
# Python 3.11 and newer on Linux: the peak memory of a program that `subprocess` starts is at least that of its parent.
#
# `subprocess` and `os.posix_spawn` start programs by vfork, in which the child borrows its parent's memory until it
# calls exec. Linux notes the peak of the memory that an exec gives up (exec_mmap keeps it in signal->maxrss), and that is
# the parent's. So ru_maxrss of `true`, as wait4, getrusage(RUSAGE_CHILDREN) and psutil's kin give it, is 300 MB if a
# parent of 300 MB started it. The child itself reads the same by getrusage(RUSAGE_SELF), which many programs report
# as their own peak. VmHWM in /proc/self/status belongs to the new memory alone and is right. A benchmark that allocates
# something large first measures itself.
#
# Seen (CPython 3.11.7, Linux 6): ballast in the parent, then ru_maxrss of `true`, then what a child reads of itself
#     true: as large as the parent
#     child by getrusage: as large as the parent
#     child by VmHWM: small
set -euo pipefail
python3 - <<'PY'
import os
import resource
import subprocess
import sys

MB = 300
ballast = bytearray(b"x") * (MB << 20)


def size(kib: int) -> str:
    return "as large as the parent" if kib > MB * 1024 else "small" if kib < 100 * 1024 else str(kib)


_, _, used = os.wait4(os.posix_spawnp("true", ["true"], os.environ), 0)
program = """
import resource
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""
own, peak = map(int, subprocess.check_output([sys.executable, "-c", program]).split())
seen = [
    f"true: {size(used.ru_maxrss)}",
    f"child by getrusage: {size(own)}",
    f"child by VmHWM: {size(peak)}",
]
print(*seen, sep="\n")
large = "as large as the parent"
if seen != [f"true: {large}", f"child by getrusage: {large}", "child by VmHWM: small"]:
    sys.exit("changed: the peak of a child is its own")
PY
