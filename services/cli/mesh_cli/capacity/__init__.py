"""`mesh plan`: what a mesh of some size needs, worked out from what `mesh bench` measured.

`costs` fits what single steps cost to a part of an outcome of `mesh bench`. `edge` lets an edge work through a load
turn by turn at these costs, `stream` lets writers wait for one stream, and `trial` holds what both say of the other
works against what was measured of them. `sizing` makes a plan of it, `walls` says what ends first. See docs/scaling.md.
"""
