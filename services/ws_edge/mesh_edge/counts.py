"""What an edge counts as it happens; everything else is looked up when somebody asks (`mesh_edge.metrics`)."""

from __future__ import annotations

from collections import Counter


class Counts:
    """Counters of one edge. None of them is touched for a delivery."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        """Clients that were not let in, by the HTTP status of the answer or the code of the close."""
        self.gaps: Counter[str] = Counter()
        """Gaps that were told, by their reasons."""
        self.deliveries = 0
        """Frames that topics which are followed no longer gave to their readers, live."""
        self.heals = 0
        """How often such topics read what they had missed, or might have."""
