"""`python -m picloud_api`: the server."""

import os
import sys

from picloud_api.server.gunicorn_server import serve
from picloud_api.settings import read

if __name__ == "__main__":
    serve(read(sys.argv[1:], os.environ))
