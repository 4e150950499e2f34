"""The WebSocket edge of Daena Mesh: stateless nodes that fan events out to browsers."""
