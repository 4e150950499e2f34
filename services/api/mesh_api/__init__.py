"""The REST API of Daena Mesh: chat, sessions and events; it also serves the console."""
