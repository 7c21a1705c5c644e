"""Asynchronous functions and generators as jobs."""

import asyncio
import functools

import cloud

from tests.corpus.script import check, fails, finish


async def add(a, b=1):
    await asyncio.sleep(0)
    return a + b


async def count(upto):
    for number in range(upto):
        await asyncio.sleep(0)
        yield number


class Service:
    async def double(self, x):
        return 2 * await add(x, 0)

    async def __call__(self, x):
        return await self.double(x)

    @staticmethod
    async def static(x):
        return x


async def group(n):
    return await asyncio.gather(*(add(each) for each in range(n)))


def plain(x):
    return asyncio.run(add(x))


def returns_a_coroutine(x):
    return add(x)


async def raises():
    await asyncio.sleep(0)
    raise KeyError("gone")


async def leaves():
    asyncio.get_running_loop().create_task(asyncio.sleep(600))
    return "left"


async def comprehension():
    return [number async for number in count(3) if await add(number) % 2]


check("function", add, 1, want=2)
check("keywords", add, 1, b=5, want=6)
check("generator", count, 3, want=[0, 1, 2])
check("method", Service().double, 2, want=4)
check("callable_object", Service(), 2, want=4)
check("static_method", Service.static, 2, want=2)
check("partial", functools.partial(add, 10), 5, want=15)
check("lambda", lambda: add(3), want=4)
check("gathered", group, 3, want=[1, 2, 3])
check("own_loop", plain, 1, want=2)
check("coroutine_returned", returns_a_coroutine, 1, want=2)
check("tasks_left", leaves, want="left")
check("comprehension", comprehension, want=[0, 2])
check("of_a_map", lambda: cloud.result(cloud.map(add, [1, 2])), want=[2, 3])
check("own_interpreter", add, 1, _kill_process=True, want=2)
fails("exception", raises, message="KeyError: 'gone'")
finish()
