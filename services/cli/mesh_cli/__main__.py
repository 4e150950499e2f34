"""`python -m mesh_cli` is `mesh`."""

from mesh_cli.entry import main

main()
