"""`python -m picloud_api`: the server."""

import gc
import os
import sys

# Looking for garbage while modules are imported takes a tenth of the start, and finds none.
gc.disable()

# structlog imports rich and pygments wherever they are installed: 3 MB in each process.
sys.modules["rich"] = None  # type: ignore[assignment]

from picloud_api.server.gunicorn_server import serve  # noqa: E402
from picloud_api.settings import read  # noqa: E402

if __name__ == "__main__":
    serve(read(sys.argv[1:], os.environ))
