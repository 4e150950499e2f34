"""What the agents have read, searchable: an index in memory, ranked by BM25."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import tantivy

from mesh_cli.demo.passages import PROSE, Passage

_HEAP_BYTES = 15_000_000
"""The least that the index takes for one thread."""
_STEMMED = "en_stem"
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        a about an and any are as at be by can could did do does explain find for from has have how i if in into is it
        its me mean means my no not of on or our please should show so some tell that the their them there these they
        this those to us was we were what when where which who whom why will with work works would you your
        """,
    )
)
_word = re.compile(r"[^\W_]+(?:[_'-][^\W_]+)*")


class Hit(NamedTuple):
    """A passage that speaks of what was asked, and how well it does."""

    passage: Passage
    score: float


def words_of(question: str) -> list[str]:
    """The words of a question that are worth looking for, each once; all of them where none is."""
    words = list(dict.fromkeys(word.lower() for word in _word.findall(question)))
    return [word for word in words if word not in _COMMON] or words


class Library:
    """Passages, found by their words. Not for threads: one reads into it, others ask between its steps."""

    def __init__(self) -> None:
        schema = tantivy.SchemaBuilder()
        schema.add_text_field("path", stored=True, tokenizer_name="raw")
        schema.add_text_field("name", tokenizer_name=_STEMMED)
        schema.add_unsigned_field("line", stored=True)
        schema.add_text_field("text", stored=True, tokenizer_name=_STEMMED)
        self._index = tantivy.Index(schema.build())
        self._writer = self._index.writer(heap_size=_HEAP_BYTES, num_threads=1)

    def put(self, path: str, passages: Iterable[Passage]) -> int:
        """Hold these passages of a file in place of those before; how many there are. `commit` shows them."""
        self._writer.delete_documents_by_term("path", path)
        count = 0
        for passage in passages:
            name = " ".join(_word.findall(passage.path))
            self._writer.add_document(
                tantivy.Document(path=passage.path, name=name, line=passage.line, text=passage.text)
            )
            count += 1
        return count

    def commit(self) -> None:
        """Let what was put be found."""
        self._writer.commit()
        self._index.reload()

    def find(self, question: str, most: int = 3) -> list[Hit]:
        """The passages that fit best, best first, one for each file; what is written for people counts twice."""
        words = " ".join(f'"{word}"' for word in words_of(question))
        query, _ = self._index.parse_query_lenient(words, ["text", "name"], {"name": 2.0})
        searcher = self._index.searcher()
        found: dict[str, Hit] = {}
        for score, address in searcher.search(query, 10 * most).hits:
            fields = searcher.doc(address).to_dict()
            passage = Passage(fields["path"][0], fields["line"][0], fields["text"][0])
            found.setdefault(passage.path, Hit(passage, 2 * score if passage.path.endswith(PROSE) else score))
        return sorted(found.values(), key=lambda hit: -hit.score)[:most]
