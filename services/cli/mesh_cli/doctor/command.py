"""The command: look, tell, and say by the exit code whether there is something to mend."""

from __future__ import annotations

from urllib.parse import urlsplit

from daena_mesh.errors import ConfigurationError
from mesh_cli.doctor.examination import Places, examine
from mesh_cli.doctor.finding import exit_code
from mesh_cli.doctor.report import tell


async def doctor(places: Places, *, in_json: bool) -> int:
    """Return 0 where nothing is to mend, else 1; raises `ConfigurationError`."""
    for flag, url in (("--url", places.url), ("--monitor-url", places.monitor_url)):
        if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
            raise ConfigurationError(f"{flag}: {url!r} is no http:// or https:// URL")
    findings = await examine(places)
    tell(findings, in_json=in_json)
    return exit_code(findings)
