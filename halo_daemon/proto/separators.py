"""
Characters that end a line for some readers although they are legal in a JSON string.

The HALO engine copies service, model and agent names into an index that it reads back
with `str.splitlines`; one of these characters in such a name makes the whole file
unreadable there. In all other strings they are harmless.
"""

_SEPARATORS = str.maketrans({"\u0085": " ", "\u2028": " ", "\u2029": " "})


def without_separators(name: str) -> str:
    """Return *name* with U+0085, U+2028 and U+2029 replaced by a space."""
    return name if name.isascii() else name.translate(_SEPARATORS)
