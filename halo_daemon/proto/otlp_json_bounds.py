"""
Counting what a JSON request holds before it is parsed.

The parser builds an object for every value, so a body of a few bytes a value costs many
times its size. What begins a value outside of texts is counted on the bytes, and only
where there could be too many.
"""

import re
from typing import Final

from halo_daemon.proto.batch import DecodeLimits, too_many_parts

_MARKS: Final = (b"{", b"[", b",")
_MARKS_PER_PART: Final = 4
"""An attribute: two objects, a comma in it and one behind it."""
_MARKS_PER_SPAN: Final = 16
_MARKS_AT_A_TIME: Final = 1000

# Possessive throughout: nothing is tried twice, whatever the bytes are.
_SOME_MARKS: Final = re.compile(
    rb'(?:(?:[^"{\[,]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))*+[{\[,]){%d}+' % _MARKS_AT_A_TIME,
    re.DOTALL,
)


def check_json_parts(body: bytes, limits: DecodeLimits) -> None:
    """
    Refuse *body* when it has more values than the spans and parts of a request need.

    Raises:
        LimitError: It holds more than `DecodeLimits.max_parts` allows for.
    """
    most = _MARKS_PER_PART * limits.max_parts + _MARKS_PER_SPAN * limits.max_spans
    if len(body) <= most or sum(map(body.count, _MARKS)) <= most:
        return
    marks = position = 0
    while found := _SOME_MARKS.match(body, position):
        position = found.end()
        marks += _MARKS_AT_A_TIME
        if marks > most:
            raise too_many_parts(limits.max_parts)
