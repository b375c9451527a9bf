import pytest

from halo_daemon.analyzer.masking import (
    core_message,
    exception_type,
    mask_name,
    mask_volatile,
    template_of,
)


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("GET https://api.example/v1?x=1 failed", "GET <url> failed"),
        ("\x1b[31;1mdenied\x1b[0m for a table", "denied for a table"),
        ("\x1b]8;;https://e.example\x07see\x1b]8;;\x07 \x9b1mthis", "see this"),
        (
            "Client error '404 Not Found' for url 'https://e.example/1'",
            "Client error <404> for url <quoted>",
        ),
        (
            "429, message='Too Many Requests', url='http://e.example/1'",
            "<429>, message=<quoted>, url=<quoted>",
        ),
        (
            "An error occurred (503) when calling the Get operation: busy",
            "An error occurred (<503>) when calling the Get operation: busy",
        ),
        ("denied for table accounts_92", "denied for table accounts_<n>"),
        ("CUST48213 is locked", "CUST<n> is locked"),
        ("utf8 is no codec for h264", "utf8 is no codec for h264"),
        ("no user jane.doe+1@mail.example", "no user <email>"),
        ("id 123e4567-e89b-12d3-a456-426614174000 gone", "id <uuid> gone"),
        (
            "tp 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 bad",
            "tp <traceparent> bad",
        ),
        ("commit 9fceb02d0ae5 missing", "commit <hex> missing"),
        ("connect to 10.0.0.1:8080 refused", "connect to <ip> refused"),
        ("not before 2026-11-20T10:00:00Z", "not before <time>"),
        ("gave up after 3.5s", "gave up after <duration>"),
        ("cannot open /var/lib/data/a.txt", "cannot open <path>"),
        ("name 'foo' is not defined", "name <quoted> is not defined"),
        ("row 17 of 1,024", "row <n> of <n>"),
        ("HTTP 429 from server", "HTTP <429> from server"),
        ("ValueError('row 17 is \\'odd\\'\\nmore')", "ValueError: row <n> is <quoted>"),
        ('shop.api.DownError("db is down", 503)', "shop.api.DownError: db is down"),
        ("KeyError('order')", "KeyError: <quoted>"),
        ("Decimal('17')", "Decimal(<quoted>)"),
    ],
)
def test_what_differs_from_case_to_case_is_masked(text, template):
    """Each kind of value has its placeholder."""
    assert template_of(text) == template


def test_empty_and_filled_quotes_are_one_template():
    """An empty quote is masked like a filled one."""
    empty = template_of("f() got an unexpected keyword argument ''")

    assert empty == template_of("f() got an unexpected keyword argument 'page'")


def test_two_hundred_errors_that_differ_in_their_values_are_one_group():
    """Ids, numbers, quotes and paths do not make groups."""
    texts = {
        f"Error {n}: cannot read '/data/run-{n}/file{n}.csv' for user {n:08x}a: '{'x' * (n % 7)}'"
        for n in range(200)
    }

    assert len({template_of(text) for text in texts}) == 1


def test_two_different_errors_are_two_groups():
    """Words are kept."""
    assert template_of("order not found") != template_of("order not delivered")


def test_an_http_status_is_kept():
    """A refusal and an outage do not fall together."""
    assert template_of("HTTP 429") != template_of("HTTP 503")


def test_an_apostrophe_is_no_quote():
    """A contraction does not swallow the rest of the line."""
    assert template_of("can't open it, won't try") == "can't open it, won't try"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("\n  \n", "", id="blank"),
        pytest.param("\n\nboom\nrest", "boom", id="first line that says something"),
        pytest.param("Exit code 2\nno such option", "no such option", id="exit code first"),
        pytest.param("Exit code 2", "Exit code 2", id="nothing but an exit code"),
        pytest.param(
            'Traceback (most recent call last):\n  File "a", line 1\n    x()\nKeyError: 1\n',
            "KeyError: 1",
            id="traceback",
        ),
        pytest.param(
            "Step failed due to: ValueError: bad", "ValueError: bad", id="innermost cause"
        ),
    ],
)
def test_the_line_that_names_the_mistake(text, line):
    """Headers and frames are passed over."""
    assert core_message(text) == line


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ValueError: x", "ValueError"),
        ("pkg.mod.TimeoutException: x", "TimeoutException"),
        ("Error: x", ""),
        ("something else", ""),
    ],
)
def test_the_exception_class(text, name):
    """It is named without its package, and only where a text begins with one."""
    assert exception_type(text) == name


def test_names_lose_their_counters():
    """Numbered steps are one subject; version numbers inside words stay."""
    assert mask_name("Step 12") == "Step <n>"
    assert mask_name("gpt-4o") == "gpt-4o"


def test_progress_is_not_masked_away():
    """Only times and request ids are volatile; a changed number is a changed result."""
    assert mask_volatile("page 1") != mask_volatile("page 2")
    assert mask_volatile('{"request_id": "abcd1234", "n": 1}') == mask_volatile(
        '{"request_id": "ffff9999", "n": 1}'
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "Error code: 400 - {'error': {'message': \"The model's window is full.\", 'code': 'x'}}",
            "Error code: 400 - The model's window is full.",
        ),
        (
            'Error code: 529 - {"type":"error","error":{"type":"x","message":"Overloaded"}}',
            "Error code: 529 - Overloaded",
        ),
        ('{\n  "error": {\n    "message": "no such key"\n  }\n}', "no such key"),
        ('{"detail":"Not authenticated"}', "Not authenticated"),
        ('order {"message": "hello"} is unknown', 'order {"message": "hello"} is unknown'),
        ("bad set {1, 2}", "bad set {1, 2}"),
    ],
)
def test_the_object_of_an_error_is_what_it_says(text, says):
    """What a service answered with tells its errors apart, not that it answered with an object."""
    assert core_message(text) == says
