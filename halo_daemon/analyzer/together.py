"""
Texts set together, so that one look tells of all of them that they hold nothing.

Nearly every text of nearly every trace is clean, and what a look costs is mostly its beginning
and its end. Whatever is to be found in a text is found in what holds it as well: a look at many
may find what none of them holds, and never the other way round.
"""

from collections.abc import Iterator, Sequence

_MAX_CHARS = 65_536
"""Of texts in one piece, unless one is longer: as much as stays near the processor."""


def together(texts: Sequence[str]) -> Iterator[str]:
    """*texts*, each on lines of its own, in as few pieces as is quick; none for no texts."""
    if sum(map(len, texts)) <= _MAX_CHARS:
        if texts:
            yield "\n".join(texts)
        return
    first = chars = 0
    for place, text in enumerate(texts):
        chars += len(text)
        if chars >= _MAX_CHARS:
            yield "\n".join(texts[first : place + 1])
            first, chars = place + 1, 0
    if first < len(texts):
        yield "\n".join(texts[first:])
