"""The API of `mesh api`, for benches: on a socket it is given, ended with its standard input.

python -m mesh_cli.bench.api DESCRIPTOR NATS_URL
"""

from __future__ import annotations

import sys

from mesh_cli.apps import api_app
from mesh_cli.loop import run
from mesh_cli.single import serve_alone

if __name__ == "__main__":
    descriptor, nats_url = int(sys.argv[1]), sys.argv[2]
    sys.exit(run(serve_alone("API", api_app, host="127.0.0.1", port=0, nats_url=nats_url, inherit=descriptor)))
