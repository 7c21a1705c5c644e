"""Jobs that wait for jobs of the same function. Like a user's, they import no module of
the tests.
"""

from __future__ import annotations

import cloud


def fib(n: int) -> int:
    """Return a Fibonacci number, by the recursion of the documentation."""
    if n <= 1:
        return 1
    jid1 = cloud.call(fib, n - 1)
    jid2 = cloud.call(fib, n - 2)
    first: int = cloud.result(jid1)
    second: int = cloud.result(jid2)
    return first + second


def down(n: int) -> int:
    """Wait for a nested job, so many levels deep."""
    if not n:
        return 0
    depth: int = cloud.result(cloud.call(down, n - 1))
    return depth + 1
