"""The `mesh` command: start the mesh or its parts, watch events, emit one."""
