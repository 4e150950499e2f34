"""`mesh cluster dev`: the topology of production on one machine."""
