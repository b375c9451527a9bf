"""One failing backend is one finding, whichever tools notice it, and for as long as it lasts."""

import pytest

from halo_daemon.analyzer.contract_file import contract_of
from halo_daemon.analyzer.error_place import name_in, place_of
from halo_daemon.analyzer.gate import baseline_of, judge
from halo_daemon.analyzer.masking import core_message, template_of
from halo_daemon.analyzer.project_memory import ProjectMemory
from halo_daemon.analyzer.render_markdown import render_markdown
from halo_daemon.analyzer.render_text import render_text
from halo_daemon.analyzer.report_diff import diff_reports
from halo_daemon.analyzer.settings import MinerSettings
from halo_daemon.store.trace_reader import Window
from halo_daemon.testing.spans import make_span
from halo_daemon.testing.traces import TraceScript
from tests.unit.analyzer.analysis import report_of

DOWN = "ConnectionError: connect to db:5432 refused"
TOOLS = ("find_order", "search_docs", "get_stock")
DAY_NS = 24 * 3_600 * 10**9


def using(number, tool, error="", agent="support", **attributes):
    """A trace that calls one tool."""
    result = "" if error else "found it"
    return (
        TraceScript(number, agent=agent)
        .model("I look.", calls=[(tool, {"q": "x"})])
        .tool(tool, {"q": "x"}, error=error, result=result, **attributes)
        .model("Done.")
        .answer("Done.")
    )


def window_with(errors, *, first=1, fine=10):
    """Four failing traces of each tool with its words, and *fine* good ones of each."""
    plan = [(tool, error) for tool, error in errors.items() for _ in range(4)]
    plan += [(tool, "") for tool in TOOLS for _ in range(fine)]
    return [using(first + place, *row) for place, row in enumerate(plan)]


def errors_of(scripts, **options):
    """The findings about errors."""
    return about_errors(report_of(scripts, **options).findings)


def about_errors(findings):
    """Those that a rule about errors made."""
    rules = {"tool_error", "infra_error", "bad_arguments"}
    return [f for f in findings if f.source.removeprefix("rule:").partition("@")[0] in rules]


def test_a_backend_that_fails_several_tools_is_one_finding():
    """It is counted over the traces of any of them, and says what each has of it."""
    (finding,) = errors_of(window_with(dict.fromkeys(TOOLS, DOWN), fine=16))

    assert (finding.counts.affected_traces, finding.counts.eligible_traces) == (12, 60)
    shares = {row.name: (row.affected, row.eligible) for row in finding.by_subject}
    assert shares == dict.fromkeys(TOOLS, (4, 20))
    assert "`db:5432`" in finding.title
    assert len(finding.merged_from) == 3


def test_every_rendering_names_the_tools():
    """A reader sees what is hit without opening the record."""
    report = report_of(window_with(dict.fromkeys(TOOLS, DOWN)))

    for rendered in (render_markdown(report), render_text(report)):
        assert all(tool in rendered for tool in TOOLS)


def test_tools_of_several_agents_share_a_backend():
    """What failed does not depend on who called."""
    scripts = [
        using(number, "find_order", DOWN, agent="support" if number % 2 else "billing")
        for number in range(1, 9)
    ]

    (finding,) = errors_of(scripts)

    assert {row.agent for row in finding.by_subject} == {"support", "billing"}


def test_tools_of_one_name_are_told_apart():
    """Where agents have tools of one name, the agent stands beside it."""
    scripts = [
        using(number, "find_order", DOWN, agent="support" if number % 2 else "billing")
        for number in range(1, 9)
    ]
    scripts += [using(9, "get_stock", DOWN)]

    (finding,) = errors_of(scripts)

    names = {name for name, _ in finding.named_subjects}
    assert names == {"find_order (support)", "find_order (billing)", "get_stock"}
    assert finding.root_cause.text.startswith("2 tools fail")


def test_few_failures_of_each_tool_are_enough_together():
    """Support is counted over the cause."""
    scripts = [using(n, tool, DOWN) for n, tool in enumerate(TOOLS, start=1)]

    (finding,) = errors_of([*scripts, *window_with({}, first=10)])

    assert finding.counts.affected_traces == 3


TOGETHER = [
    pytest.param("503 Server Error for url: https://gw.internal/{tool}/7", id="one-gateway"),
    pytest.param("Error executing tool {tool}: " + DOWN, id="own-name-before-it"),
    pytest.param("Connection refused: {tool} at es.prod.internal", id="host-name"),
    pytest.param("HTTP 401: token for client 'billing-agent' expired", id="client-in-quotes"),
    pytest.param("HTTP 503 from gateway edge-1", id="named-gateway"),
    pytest.param("The inventory service is temporarily unavailable", id="named-service"),
    pytest.param(
        "HTTPSConnectionPool(host='gw.internal', port=443): Max retries exceeded with url: /{tool}",
        id="path-of-its-own",
    ),
]


@pytest.mark.parametrize("words", TOGETHER)
def test_words_that_name_the_same_thing_are_one_finding(words):
    """The tool's own name and the path that it asks for make no difference."""
    errors = {tool: words.format(tool=tool) for tool in TOOLS}

    assert len(errors_of(window_with(errors))) == 1


REFUSED = (
    (
        "requests.exceptions.ConnectionError: HTTPConnectionPool(host='db', port=5432): Max retries"
        " exceeded with url: /v1/7 (Caused by NewConnectionError(\"HTTPConnection(host='db', port=5432):"
        ' Failed to establish a new connection: [Errno 111] Connection refused"))'
    ),
    "Cannot connect to host db:5432 ssl:default [Connect call failed ('10.0.0.7', 5432)]",
    "fetch failed: connect ECONNREFUSED db:5432",
    'EndpointConnectionError: Could not connect to the endpoint URL: "http://db:5432/v1/x"',
    "curl: (7) Failed to connect to db port 5432 after 0 ms: Couldn't connect to server",
    "failed to connect to all addresses; last error: ipv4:db:5432: Connection refused (111)",
    'connection to server at "db" (10.0.0.5), port 5432 failed: Connection refused',
    "Error 111 connecting to db:5432. Connection refused.",
)
TIMED_OUT = (
    "HTTPConnectionPool(host='db', port=5432): Read timed out. (read timeout=1)",
    'Read timeout on endpoint URL: "http://db:5432/v1/x"',
    'Get "http://db:5432/x": context deadline exceeded',
    "connect ETIMEDOUT db:5432",
)
UNRESOLVED = (
    (
        "HTTPConnectionPool(host='db', port=5432): Max retries exceeded with url: /v1/x (Caused by"
        " NameResolutionError(\"Failed to resolve 'db' ([Errno -2] Name or service not known)\"))"
    ),
    "Cannot connect to host db:8080 ssl:default [Name or service not known]",
    "fetch failed: getaddrinfo ENOTFOUND db",
    "curl: (6) Could not resolve host: db",
    "dial tcp: lookup db on 10.0.0.2:53: no such host",
    'could not translate host name "db" to address: Name or service not known',
)
UNTRUSTED = (
    (
        "HTTPSConnectionPool(host='db', port=5432): Max retries exceeded with url: /x (Caused by"
        " SSLError(SSLCertVerificationError(1, 'certificate verify failed')))"
    ),
    "SSL validation failed for https://db:5432/v1/x [SSL: CERTIFICATE_VERIFY_FAILED]",
    "Cannot connect to host db:5432 ssl:True [SSLCertVerificationError: (1, 'self-signed')]",
    'Get "https://db:5432/": x509: certificate signed by unknown authority',
)
RESET = (
    (
        "HTTPConnectionPool(host='db', port=5432): Max retries exceeded with url: /v1/x (Caused by"
        " ProtocolError('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer')))"
    ),
    'Connection was closed before we received a valid response from endpoint URL: "http://db:5432/".',
    "read tcp 10.0.0.1:53344->db:5432: read: connection reset by peer",
)
LIMITED = (
    "429 Client Error: Too Many Requests for url: http://db:5432/v1/x",
    "Client error '429 Too Many Requests' for url 'http://db:5432/v1/x'",
    "429, message='Too Many Requests', url='http://db:5432/v1/x'",
)
BROKEN = (
    "503 Server Error: Service Unavailable for url: http://db:5432/v1/x",
    "Server error '502 Bad Gateway' for url 'http://db:5432/v1/x'",
    "504, message='Gateway Timeout', url='http://db:5432/v1/x'",
)
WAYS = {
    "refused": REFUSED,
    "timed-out": TIMED_OUT,
    "unresolved": UNRESOLVED,
    "untrusted": UNTRUSTED,
    "reset": RESET,
    "limited": LIMITED,
    "broken": BROKEN,
}


def each_by_its_tool(words):
    """A window in which each of the words is said by four calls of a tool of its own."""
    said = [(f"tool_{'abcdefgh'[place]}", text) for place, text in enumerate(words)]
    scripts = [using(n, *row) for n, row in enumerate([*said * 4], start=1)]
    return scripts + [using(100 + n, tool) for n, (tool, _) in enumerate(said * 5)]


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS)
def test_each_client_has_its_own_words_for_one_outage(words):
    """One host that fails in one way is one finding, whatever libraries call it."""
    (finding,) = errors_of(each_by_its_tool(words))

    assert len(finding.by_subject) == len(words)
    assert "`db" in finding.title


def test_ways_to_fail_are_apart():
    """That a host refuses is another thing than that it is slow or limits calls."""
    findings = errors_of(each_by_its_tool([words[0] for words in WAYS.values()]))

    assert len(findings) == len(WAYS)


def test_hosts_that_fail_alike_are_apart():
    """The same way of two hosts is two findings, and so it is with two ports."""
    for other in ("cache:5432", "db:6379"):
        words = [*REFUSED[1:3], *(text.replace("db:5432", other) for text in REFUSED[1:3])]

        assert sorted(len(f.by_subject) for f in errors_of(each_by_its_tool(words))) == [2, 2]


def test_one_machine_has_many_names_for_itself():
    """Its name and its addresses are one place."""
    names = ("localhost", "127.0.0.1", "[::1]")
    words = [f"connect ECONNREFUSED {name}:5432" for name in names]

    assert len(errors_of(each_by_its_tool(words))) == 1


def test_a_client_that_changes_makes_no_new_finding(nights):
    """The outage keeps its id when it is told in other words."""
    first = nights.report(dict(zip(TOOLS, REFUSED[:3], strict=True))).findings[0]
    again = nights.report(dict(zip(TOOLS, REFUSED[3:6], strict=True))).findings[0]

    assert (again.finding_id, again.state) == (first.finding_id, "ongoing")


APART = [
    pytest.param("TimeoutError", id="class-alone"),
    pytest.param("TimeoutError: timed out after 30 s", id="time-out"),
    pytest.param("HTTP 503: Service Unavailable", id="status"),
    pytest.param("[Errno 111] Connection refused", id="refused-by-nobody"),
    pytest.param("connect ECONNREFUSED", id="constant"),
    pytest.param("Rate limit exceeded, try again later", id="limit"),
    pytest.param("401 Unauthorized: API key expired", id="any-key"),
    pytest.param("redis.exceptions.ConnectionError: connection lost", id="class-of-a-client"),
    pytest.param("Service Unavailable, see https://docs.example.com/errors", id="manual"),
    pytest.param("not found", id="not-found"),
    pytest.param("404 Client Error: Not Found for url: https://api.internal/x/1", id="not-there"),
    pytest.param("invalid argument", id="argument"),
    pytest.param("order_id must not be empty", id="field"),
    pytest.param("502 Bad Gateway for url: https://{tool}.internal/v1", id="hosts-of-their-own"),
]


@pytest.mark.parametrize("words", APART)
def test_like_words_alone_are_no_common_cause(words):
    """What any service says, and what each tool is asked for, stays with its tool."""
    errors = {tool: words.format(tool=tool.replace("_", "-")) for tool in TOOLS}

    assert len(errors_of(window_with(errors))) == 3


def test_the_address_that_the_spans_state_is_evidence():
    """Words that say nothing are one cause where all spans failed at one address."""
    address = {"server.address": "mcp.internal", "server.port": 8080}
    scripts = [using(n, TOOLS[n % 3], "Connection closed", **address) for n in range(1, 13)]

    (finding,) = errors_of(scripts)

    assert "`mcp.internal:8080`" in finding.title


def test_a_tool_that_visits_many_hosts_has_no_backend():
    """That some of its failures were at the same host as another tool's is chance."""
    words = "503 Server Error for url: https://{}.internal/x"
    scripts = [using(n, "find_order", words.format(f"host{n}")) for n in range(1, 7)]
    scripts += [using(n, "search_docs", words.format("host1")) for n in range(7, 13)]

    assert len(errors_of(scripts)) == 2


class Nights:
    """A project night by night, each report remembered."""

    def __init__(self, root):
        self.past = ProjectMemory(root, "p")
        self.night = 0

    def report(self, errors, *, fine=10, **options):
        """The next night's report, remembered."""
        scripts = window_with(errors, first=self.night * 100 + 1, fine=fine)
        begin, memory = self.night * DAY_NS, self.past.recall()
        report = report_of(scripts, window=Window(begin, begin + DAY_NS), memory=memory, **options)
        self.past.remember(report.model_copy(update={"report_id": f"r_{self.night}"}), memory)
        self.night += 1
        return report


@pytest.fixture
def nights(tmp_path):
    """A project without a past."""
    return Nights(tmp_path)


def test_a_tool_that_joins_makes_no_new_finding(nights):
    """The id stays, whether tools join or leave, until one alone is left."""
    plans = [TOOLS[:2], TOOLS, TOOLS[1:], TOOLS[:1]]
    found = [nights.report(dict.fromkeys(plan, DOWN)).findings[0] for plan in plans]

    assert len({finding.finding_id for finding in found}) == 1
    assert [finding.state for finding in found] == ["new", "ongoing", "ongoing", "ongoing"]
    assert found[3].counts.eligible_traces == 34


def test_what_a_cause_spares_tonight_is_not_said_to_fail(nights):
    """Of three tools that a backend failed one is left: the report sends nobody to the others."""
    nights.report(dict.fromkeys(TOOLS, DOWN))
    report = nights.report({TOOLS[0]: DOWN})

    (finding,) = report.findings
    assert f"in {TOOLS[0]}" in " ".join(render_text(report).split())
    assert TOOLS[1] not in render_text(report)
    assert finding.root_cause.text == "Every failure names it, and earlier ones of other tools did."


def test_what_goes_on_in_a_cause_is_neither_new_nor_gone_between_two_reports(nights):
    """Held against each other, the reports tell of one finding under two ids."""
    before = nights.report({TOOLS[0]: DOWN})
    after = nights.report(dict.fromkeys(TOOLS, DOWN))

    (forth,), (back,) = diff_reports(before, after), diff_reports(after, before)

    assert (forth.finding_id, back.finding_id) == (
        after.findings[0].finding_id,
        before.findings[0].finding_id,
    )
    assert {forth.change, back.change} <= {"worse", "better", "same"}


def test_a_tool_known_to_fail_goes_on_in_the_cause(nights):
    """When a second one shows what is behind it, nothing is new and nothing is resolved."""
    alone = nights.report({"find_order": DOWN}).findings[0]
    report = nights.report(dict.fromkeys(TOOLS, DOWN))

    (cause,) = report.findings
    assert cause.finding_id != alone.finding_id
    assert cause.supersedes == (alone.finding_id,)
    assert cause.state != "new"
    assert report.resolved == ()


def test_a_cause_is_resolved_by_the_traces_of_all_its_tools(nights):
    """Its exposure is what used any of them."""
    nights.report(dict.fromkeys(TOOLS, DOWN))
    (row,) = nights.report({}).resolved

    assert (row.state, row.exposure) == ("resolved", 30)


def test_a_cause_that_comes_back_is_reopened_by_one_tool(nights):
    """What was known once needs no second witness."""
    first = nights.report(dict.fromkeys(TOOLS, DOWN)).findings[0]
    nights.report({})
    again = nights.report({"get_stock": DOWN}).findings[0]

    assert (again.finding_id, again.state) == (first.finding_id, "reopened")


@pytest.mark.parametrize(
    ("rule", "findings"),
    [
        pytest.param({"tool": "get_stock"}, [1, 2], id="split"),
        pytest.param({"template": "refused"}, [3], id="all"),
    ],
)
def test_a_rule_of_the_project_comes_first(nights, rule, findings):
    """What it names is a finding of its own, and none of the cause's any more."""
    grouping = {"grouping": [{"when": rule, "merge_as": "ours"}]}
    settings = MinerSettings(contract=contract_of(grouping))
    nights.report(dict.fromkeys(TOOLS, DOWN))

    report = nights.report(dict.fromkeys(TOOLS, DOWN), settings=settings)

    parts = sorted(len(f.by_subject) or 1 for f in about_errors(report.findings))
    assert parts == findings


def test_an_accepted_tool_accepts_no_cause():
    """The gate looks at what a backend hits beside the tool that was known to fail."""
    accepted = baseline_of(report_of(window_with({"find_order": DOWN})), reason="known")
    report = report_of(window_with(dict.fromkeys(TOOLS, DOWN)))

    assert judge(report, "low", accepted).failing == report.findings


PLACES = [
    ("dial tcp: lookup db on 10.0.0.2:53: no such host", "db"),
    ("postgres://app:secret@DB.internal:5432/orders refused", "db.internal:5432"),
    ("https://gw.internal:443/x answered 503", "gw.internal"),
    ('connection to server at "db" (10.0.0.5), port 5432 failed', "db:5432"),
    ("connect ECONNREFUSED 127.0.0.1:5432", "localhost:5432"),
    ("no route to host 10.1.2.3", "10.1.2.3"),
    ("Could not resolve host: github.com", "github.com"),
    ("localhost refused", ""),
    ("error code:503 in app.py:42", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "place"), PLACES)
def test_a_place_is_what_the_text_names(text, place):
    """A host in one form, never what is in front of it in an address."""
    assert place_of(make_span(), core_message(text)) == place


def test_the_address_of_a_server_is_its_own():
    """A span that serves a request says where it is, not what it called."""
    attributes = {"server.address": "me.internal"}

    assert place_of(make_span(kind="SPAN_KIND_SERVER", attributes=attributes), "x") == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("key billing-prod has expired", "billing-prod"),
        ("the ledger database is down", "ledger database"),
        ("upstream connect error or disconnect/reset before headers", ""),
        ("read_timeout exceeded: rate_limit_exceeded", ""),
        ("requests.exceptions.ConnectionError", ""),
        ("RESOURCE_EXHAUSTED", ""),
        ("", ""),
    ],
)
def test_a_name_is_no_common_word(text, name):
    """Constants, classes and what every client says name nothing."""
    assert name_in(template_of(text)) == name
