"""What an edge counts as it happens; everything else is looked up when somebody asks (`mesh_edge.metrics`)."""

from __future__ import annotations

from collections import Counter


class Counts:
    """Counters of one edge. None of them is touched for a delivery."""

    def __init__(self) -> None:
        self.refused: Counter[tuple[str, str]] = Counter()
        """Clients that were not let in: the HTTP status of the answer, or the code of the close, and the reason."""
        self.closed: Counter[str] = Counter()
        """Connections that ended: by the code with which the edge closed them, ``client`` where that closed, ``lost``
        where nobody did."""
        self.gaps: Counter[str] = Counter({"expired": 0, "reset": 0})
        """Gaps that were told, by their reasons."""
        self.fell_behind = 0
        """How often a reader was too slow, so that only its position is kept."""
        self.pieces_read = 0
        """Pieces of the log that were read for readers who resume or are slow."""
        self.pieces_given = 0
        """How often such a piece was given to one of them."""
        self.deliveries = 0
        """Frames that topics which are followed no longer gave to their readers, live."""
        self.delivered_bytes = 0
        """Their size, in the frames that were written."""
