"""The garbage collector of the API: left out of what stays, and called less often.

The API has some sixty thousand objects that live as long as it does, and each answer makes and frees hundreds. With
CPython's defaults the collector looks at them over and over: a tenth of what a chat call costs
(docs/experiments/rest.md). An edge keeps the defaults: garbage that lies longer is memory for each of its sockets.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS = 10_000
"""How many more objects are made than freed before the young ones are looked at; CPython's default is 700 to 2,000."""


def settle() -> None:
    """Call it once everything is made that stays until the end."""
    gc.freeze()  # without collecting first: nothing is garbage yet, and finding that out delays the start
    gc.set_threshold(YOUNG_OBJECTS)
