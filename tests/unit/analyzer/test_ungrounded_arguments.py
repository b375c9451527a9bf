import pytest

from halo_daemon.analyzer.miner import mine
from halo_daemon.analyzer.rules.identifiers import Sources, identifiers_in
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import observed

RULE = "ungrounded_argument"


@pytest.mark.parametrize(
    ("tool", "arguments", "found"),
    [
        ("book_room", '{"hotel_id": "H-48213", "guest": "Ms Lee"}', {"hotel_id"}),
        ("book_room", '{"hotelId": 48213}', {"hotelId"}),
        ("get_orders", '{"order_ids": ["#W48213", "#W48214"]}', {"order_ids"}),
        ("send_email", '{"to": "jo.lee@acme.io", "subject": "H-48213"}', {"to"}),
        ("pay", '{"payment": {"reference": "PX-77812"}}', {"reference"}),
        ("pay", '{"items": [{"item_id": "8349118980"}]}', {"item_id"}),
        ("track", '{"tracking_number": "1Z99AA10123"}', {"tracking_number"}),
        ("get_user", '{"uuid": "6fa459ea-ee8a-3ca4-894e-db77e160355e"}', {"uuid"}),
        ("create_booking", '{"hotel_id": "H-48213"}', {"hotel_id"}),
        ("create_booking", '{"id": "B-48213", "booking_id": "B-48213"}', set()),
        ("pay", '{"idempotency_id": "ab12cd34ef", "requestId": "R-48213"}', set()),
        ("todo_write", '{"ids": ["T-48213"]}', set()),
        ("pay", '{"items": [{"id": "T-48213", "text": "x"}]}', set()),
        ("get_paper", '{"arxiv_id": "1706.03762", "isbn_number": "9780306406157"}', set()),
        ("deploy", '{"region_id": "eu-west-10001"}', set()),
        ("read", '{"page_number": 48213, "number": 48213}', set()),
        ("book", '{"slot_id": "2026-12-12"}', set()),
        ("book", '{"slot_id": "slot-12", "year_id": 2026}', set()),
        ("bash", '{"id": "H-48213"}', set()),
        ("send_email", '{"to": "Jo Lee", "cc": "jo@example.com"}', set()),
        ("read", '{"file_id": "docs/48213.md"}', set()),
        ("find", '{"query": "H-48213", "note": "id 48213"}', set()),
        ("find", "hotel_id: H-48213", set()),
        ("find", '["hotel_id", 48213]', set()),
    ],
)
def test_ids_are_told_by_their_key(tool, arguments, found):
    """What names a thing, and that a model could neither choose, nor know, nor work out."""
    assert {one.key for one in identifiers_in(tool, arguments)} == found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("H-48213", "hotel 48213", id="number alone"),
        pytest.param("48213", '{"id": "H-48213"}', id="without its letters"),
        pytest.param("h48213", "H 48213", id="other signs between"),
        pytest.param("ORD-48213-7781", "order 48213 of client 7781", id="put together"),
        pytest.param("1234567", "1,234,567", id="grouped"),
        pytest.param("48213", "four eight two one three", id="spoken"),
        pytest.param("48213", "four eight two one oh three, no: 4 8 2 1 3", id="spelt"),
        pytest.param("48213", "٤٨٢١٣", id="Arabic digits"),
        pytest.param("48213", "４８２１３", id="full width"),
        pytest.param("48214", "48213", id="counted on"),
        pytest.param("a1b2c3d4", "A1B2-C3D4-E5F6", id="beginning of a hash"),
        pytest.param("jo.lee@acme.io", "Jo Lee", id="address made of a name"),
        pytest.param("jo.lee@acme.io", "jo.lee%40acme.io", id="address in a URL"),
    ],
)
def test_an_id_is_known_in_other_forms(value, text):
    """What the model could have taken it from is enough."""
    assert Sources([text]).hold(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("H-48213", "H-48313 and H-99999"),
        ("a1b2c3d4", "a1b2 and nothing else"),
        ("ORD-48213-7781", "order 48213"),
        ("mo.kent@acme.io", "acme.io, ask for Ms Lee"),
        ("H-48213", ""),
    ],
)
def test_another_id_is_not_it(value, text):
    """One that only looks alike supports nothing."""
    assert not Sources([text]).hold(value)


def prompted(*messages, **more):
    """Attributes of a prompt: contents by role."""
    sent = {}
    for place, (role, content) in enumerate(messages):
        sent[f"llm.input_messages.{place}.message.role"] = role
        sent[f"llm.input_messages.{place}.message.content"] = content
    return {**sent, **more}


ASKED = ("user", "A room in Porto, please.")
BOOKED = ("book_room", {"hotel_id": "H-48213"})


def booking(*messages, before=None, tokens=(100, 20), call=BOOKED, **more):
    """A run that books a hotel right after that prompt."""
    script = TraceScript(task="A room in Porto, please.")
    if before:
        before(script)
    script.model("", calls=[call], tokens=tokens, **prompted(*messages, **more))
    return script.tool(*call, result='{"ok": true, "hotel_id": "H-48213"}').answer("Booked.")


def looked_up(result, **more):
    """A look-up before, with that result."""
    return lambda script: script.tool("find_hotels", {"city": "Porto"}, result=result, **more)


def unrecorded(script):
    """A look-up before that does not say what came out."""
    script.step("TOOL", "find_hotels", **{"tool.name": "find_hotels", "input.value": "{}"})


def planned(script):
    """A model call before, shown the id in an earlier conversation."""
    script.model("I think of H-48213.", **prompted(ASKED))


def test_an_id_out_of_nowhere_is_found():
    """The decision is cited with the value, and the call that ran with it."""
    known = mine([booking(("system", "Book rooms."), ASKED).build()], MinerSettings())

    [key] = [key for key in known.groups if key.rule == RULE]
    [case] = known.groups[key].unrecovered
    assert (key.subject, key.error_type) == ("book_room", "hotel_id")
    assert [(cited.role, cited.text) for cited in case.quotes] == [
        ("symptom", "H-48213"),
        ("decision", "H-48213"),
    ]


def asked_before(role):
    """A model call before, whose prompt ends with a message of that role."""
    return lambda script: script.model("Which?", **prompted(ASKED, (role, "Any.")))


IN_SESSION = {"inference.session_id": "s1"}
QUIET = {
    "a session of prompts that hold only what is new": booking(
        ASKED, before=asked_before("user"), **IN_SESSION
    ),
    "said by the user": booking(("user", "Book H-48213.")),
    "in the instructions": booking(("system", "Our own hotel is 48213."), ASKED),
    "in a result": booking(ASKED, before=looked_up('[{"id": "H-48213"}]')),
    "in an error": booking(ASKED, before=looked_up("", error="did you mean H-48213?")),
    "said before": booking(ASKED, before=planned),
    "in the offer": booking(ASKED, **{"llm.tools.0.tool.json_schema": '{"default": "H-48213"}'}),
    "in metadata": booking(ASKED, metadata='{"hotel": "H-48213"}'),
    "no prompt": booking(),
    "a prompt that was cut": booking(("user", "x" * 500 + "...")),
    "a picture": booking(ASKED, **{"input.value": '[{"type": "image_url", "image_url": "…"}]'}),
    "a conversation kept elsewhere": booking(
        ASKED, **{"llm.invocation_parameters": '{"previous_response_id": "resp_1"}'}
    ),
    "a prompt that is longer than recorded": booking(ASKED, tokens=(9_000, 20)),
    "a result that is not recorded": booking(ASKED, before=unrecorded),
}


@pytest.mark.parametrize("name", QUIET)
def test_what_may_have_been_read_is_left_alone(name):
    """What stands anywhere, and what an incomplete record may lack."""
    assert RULE not in {rule for rule, _ in observed(QUIET[name])}


@pytest.mark.parametrize(
    "script",
    [
        booking(ASKED, ("tool", '{"hotels": ["H-11111"]}'), before=unrecorded),
        booking(ASKED, before=looked_up('[{"id": "H-99999"}]')),
        booking(ASKED, **{"llm.invocation_parameters": '{"previous_response_id": null}'}),
        booking(ASKED, before=asked_before("assistant"), **IN_SESSION),
        booking(ASKED, before=asked_before("user")),
        booking(ASKED, **IN_SESSION),
        booking(ASKED, call=("mail_to", {"email": "jo.lee@acme.io"})),
    ],
)
def test_a_complete_record_shows_that_it_was_made_up(script):
    """Other ids, and fields that say nothing, do not excuse it."""
    assert RULE in {rule for rule, _ in observed(script)}


def test_it_is_said_how_many_could_be_checked():
    """One call is supported, one made up, one made without a recorded prompt."""
    known = mine(
        [
            script.build()
            for script in (
                booking(("user", "Book H-48213.")),
                TraceScript(2).model("", calls=[BOOKED], **prompted(ASKED)),
                TraceScript(3).model("", calls=[BOOKED]),
            )
        ],
        MinerSettings(),
    )

    checked = known.checked[f"{RULE}@1"]
    assert (checked.checked, checked.of, checked.not_checked) == (2, 3, {"not_recorded": 1})


def test_a_value_that_the_tool_refused_did_no_harm():
    """The observation counts as recovered from."""
    script = TraceScript().model("", calls=[BOOKED], **prompted(ASKED))
    script.tool(*BOOKED, error="no such hotel").answer("Which hotel?")

    known = mine([script.build()], MinerSettings())

    [hit] = [
        hit
        for key, group in known.groups.items()
        if key.rule == RULE
        for hit in group.hits.values()
    ]
    assert hit.is_recovered
