"""`python -m picloud_gateway`: carries streams until its standard input is closed."""

import asyncio
import sys

from picloud_gateway.server import serve
from picloud_gateway.settings import read

if __name__ == "__main__":
    asyncio.run(serve(read(sys.argv[1:]), sys.stdin.fileno(), sys.stdout.fileno()))
