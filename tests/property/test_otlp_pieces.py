"""Requests that are cut into pieces: the same answer as for the request as a whole."""

from hypothesis import given, settings, strategies as st

from halo_daemon.errors import IngestError
from halo_daemon.proto.batch import DecodeLimits
from halo_daemon.proto.otlp import decode_protobuf
from halo_daemon.proto.otlp_json import decode_json
from tests.conformance.requests import as_json, base_span, body_of
from tests.property.test_otlp import REQUESTS
from tests.unit.proto.decoding import LIMITS, attribute, project_of

PIECES = DecodeLimits(max_items=50)
"""Cuts whatever has more than a hundred bytes, and drops nothing of what is generated here."""

FEW = DecodeLimits(max_items=1)


def outcome(body, limits):
    """What is decoded, or the class of the refusal."""
    try:
        return decode_protobuf(body, project_of=project_of, limits=limits)
    except IngestError as exc:
        return type(exc)


@given(REQUESTS)
@settings(max_examples=100, deadline=None)
def test_pieces_are_decoded_as_the_whole(request):
    """Cut at every span, a request gives the lines and the counts that it gives uncut."""
    body = request.SerializeToString()

    assert outcome(body, PIECES) == outcome(body, LIMITS)


SAMPLE = body_of(
    *(
        base_span(name=f"span {n}", attributes=[attribute("k", "v" * n), attribute("l", [1, n])])
        for n in range(40)
    )
)
MUTATIONS = st.lists(
    st.tuples(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=1, max_size=3)),
    min_size=1,
    max_size=3,
)


@given(MUTATIONS, st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_damaged_pieces_are_answered_as_the_damaged_whole(mutations, removed):
    """Bytes replaced, added or taken away: cutting refuses and repairs what the parser does."""
    body = bytearray(SAMPLE)
    for position, replacement in mutations:
        body[position : position + removed] = replacement

    assert outcome(bytes(body), PIECES) == outcome(bytes(body), LIMITS)


@given(REQUESTS)
@settings(max_examples=80, deadline=None)
def test_both_encodings_drop_the_same_surplus(request):
    """With one item kept of each, protobuf and JSON give the same lines and the same counts."""
    from_json = decode_json(as_json(request), project_of=project_of, limits=FEW)

    assert outcome(request.SerializeToString(), FEW) == from_json
