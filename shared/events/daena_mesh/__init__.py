"""The SDK of Daena Mesh: event types, subjects, cursors, the log, and the client of the mesh."""
