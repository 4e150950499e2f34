"""What agents are built with besides: thin adapters, one module for each, that tell the mesh what goes on there.

They take objects of those libraries as they come, and import none of them.
"""
