"""Assembly: a message that is being written, put together from its pieces by a reader. Pure."""

from __future__ import annotations


class Assembly:
    """The text of one message so far.

    Each writer of it is a *run*. The first run that is seen counts, until another one begins, with index 0: that one
    has all of the text, and what still comes of the older ones is ignored.
    """

    def __init__(self) -> None:
        self.run: str | None = None
        self._pieces: dict[int, str] = {}
        self._older: set[str] = set()

    def take(self, run: str, index: int, text: str) -> bool:
        """Take a piece; False where it is one of an older run, or was there before."""
        if run in self._older:
            return False
        if self.run is None:
            self.run = run
        elif run != self.run:
            if index != 0:
                return False
            self._older.add(self.run)
            self.run, self._pieces = run, {}
        if index in self._pieces:
            return False
        self._pieces[index] = text
        return True

    @property
    def text(self) -> str:
        """The pieces that are there, in order."""
        return "".join(self._pieces[index] for index in sorted(self._pieces))

    @property
    def is_whole(self) -> bool:
        """Whether no piece is missing up to the newest one that is there."""
        return len(self._pieces) == max(self._pieces, default=-1) + 1 and min(self._pieces, default=0) == 0
