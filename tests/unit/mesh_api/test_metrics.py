from __future__ import annotations

from daena_mesh.metrics import single, text
from mesh_api.metrics import Requests


def test_the_text_is_as_prometheus_reads_it() -> None:
    requests = Requests()
    for method, status in (("GET", 200), ("GET", 200), ("BREW", 405)):
        requests.note(method, status)
    assert text([requests.metric(), single("up", "gauge", "Whether.", 1)]).splitlines() == [
        "# HELP mesh_api_requests_total HTTP requests that were answered.",
        "# TYPE mesh_api_requests_total counter",
        'mesh_api_requests_total{method="GET",status="200"} 2',
        'mesh_api_requests_total{method="other",status="405"} 1',
        "# HELP up Whether.",
        "# TYPE up gauge",
        "up 1",
    ]
