"""What a result tells of its own failure, and what only looks like it."""

import pytest

from halo_daemon.analyzer.signals import error_signal
from halo_daemon.proto.semconv.may_tell import may_tell
from halo_daemon.proto.semconv.told_failure import failure_in, told_failure
from halo_daemon.testing.spans import make_span
from tests.unit.proto.semconv.spans import projected

FAILED_MESSAGE = '"type": "tool", "content": "Error: order 7 is locked", "tool_call_id": "c"'
GOOD_MESSAGE = '"type": "tool", "content": "all good", "tool_call_id": "c", "status": "success"'
OF_NODE = '"id": ["langchain_core", "messages", "ToolMessage"], "kwargs"'
LLAMA_INDEX = '"tool_name": "find", "raw_input": {"kwargs": {"order": 7}}'
FAILURES = (
    f'{{{LLAMA_INDEX}, "blocks": [], "raw_output": "Error: no order 7", "is_error": false}}',
    f'{{{LLAMA_INDEX}, "content": "", "raw_output": "no order 7", "is_error": true}}',
    f"{{{FAILED_MESSAGE}}}",
    f'{{"type": "tool", "data": {{{FAILED_MESSAGE}, "status": "success"}}}}',
    f'{{"output": {{"lc": 1, "kwargs": {{{FAILED_MESSAGE}}}}}, "kwargs": {{"tags": []}}}}',
    f'{{"output": {{"lc": 1, {OF_NODE}: {{"content": "Error: locked", "tool_call_id": "c"}}}}}}',
    '{"role": "tool", "tool_call_id": "c", "content": "Error: order 7 is locked"}',
    '{"type": "tool", "content": "no such order", "tool_call_id": "c", "status": "error"}',
    '{"type": "tool", "content": [{"type": "text", "text": "Error: locked"}], "id": null}',
    "Error: customer 7 is locked",
    "Error: 503",
    "Error (404): no page",
    "❌ Error: the index is closed",
    "**Error**: the index is closed",
    "Fehler: Verbindung abgelehnt",
    "Erreur : connexion refusée",
    "错误：连接被拒绝",
    "エラー: 接続できません",
    "Ошибка: нет соединения",
    "오류: 연결이 거부됨",
    "Error de conexión: sin respuesta",
    "An error occurred while calling the tool",
    "MCP error -32602: Invalid arguments for tool search",
    "API Error: 529 overloaded",
    "Error code: 429 - too fast",
    "Uncaught TypeError: x is not a function",
    "ValueError('no such key')",
    "psycopg2.OperationalError: could not connect",
    'Exception in thread "main" java.lang.IllegalStateException: closed',
    "thread 'main' panicked at src/main.rs:2",
    "[Errno 2] No such file or directory: 'x'",
    "curl: (7) Failed to connect to localhost port 80",
    "bash: line 1: foo: command not found",
    "Request failed with status code 500",
    "Process exited with code 2",
    "HTTP/1.1 404 Not Found\nContent-Type: text/html",
    "HTTP 503",
    "429 Too Many Requests",
    "Failed to fetch the page",
    "Could not connect to the database",
    "Permission denied",
    "Timeout after 30 s",
    "<tool_use_error>File has not been read yet</tool_use_error>",
    '"Error: quoted as JSON"',
    '{"error": {"code": -32601, "message": "Method not found"}, "jsonrpc": "2.0", "id": 7}',
    '{"error": true, "message": "no such order"}',
    '{"errors": [{"message": "Cannot query field x"}], "data": null}',
    '{"errorMessage": "Task timed out", "errorType": "Sandbox.Timedout"}',
    '{"errcode": 40001, "errmsg": "invalid credential"}',
    '{"status": "FAILED", "reason": "quota"}',
    '{"status": "failed"}',
    '{"status": "error", "order": 7}',
    '{"status": 500, "message": "Internal Server Error"}',
    '{"statusCode": "503", "body": "upstream"}',
    '{"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "id is missing"}',
    '{"success": "false", "message": "closed"}',
    '{"isError": true, "content": [{"type": "text", "text": "Unknown id 5"}]}',
    '{"content": [{"type": "text", "text": "Error: unknown id"}]}',
    '[{"type": "text", "text": "Error: unknown id"}]',
    '{"__type": "ThrottlingException", "message": "Rate exceeded"}',
    '{"detail": "Not authenticated"}',
    '{"result": {"error": "the table is locked"}}',
    '{"id": "c1", "name": "find", "response": {"result": "Error: the table is locked"}}',
    '{"name": "find", "response": {"status": "error", "error_message": "locked"}}',
    "{'error': 'the table is locked'}",
    "<html>\r\n<head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
    '<!DOCTYPE html><html lang="en"><head><title>Access denied | Error 1020</title></head></html>',
)

WORDED = (
    "I encountered an error while trying to use the tool. This was the error: 'x'.\n Tool find",
    "Action 'fly' don't exist, these are the only available Actions: find, read",
    "Error invoking tool 'find' with kwargs {'a': 1} with error:\n KeyError\n Please fix it.",
    "fly is not a valid tool, try one of [find, read].",
    '1 validation error:\n```json\n[{"type": "missing", "loc": ["q"]}]\n```',
    "2 validation errors for FindArgs\nq\n  Field required",
    "Encountered error: list index out of range",
    "Execution error in find: \nTraceback (most recent call last):",
    "tool invoke error: no route",
    "tool parameters validation error: q is required, please check your tool parameters",
    "there is not a tool named fly",
    "Model tried to call unavailable tool 'fly'. Available tools: find.",
    "Invalid input for tool find: Type validation failed",
    "Unknown tool: fly",
    "Input validation error: 'q' is a required property",
    "Code execution failed at line 'x' due to: ValueError: y",
    "Tool 'find' failed: boom",
    "upstream connect error or disconnect/reset before headers. reset reason: overflow",
    "no healthy upstream",
    "HTTPSConnectionPool(host='x.example', port=443): Max retries exceeded with url: /a",
    "Client error '404 Not Found' for url 'https://x.example/y'",
    "rpc error: code = Unavailable desc = connection error",
    "npm ERR! code E404",
    '(psycopg2.errors.UndefinedColumn) column "x" does not exist',
    "ORA-00942: table or view does not exist",
    "SQLSTATE[42S02]: Base table or view not found",
    "ERROR 1045 (28000): Access denied for user 'x'@'h'",
    "The request timed out after 30 seconds. Please try again later.",
    "This operation was aborted",
    "The operation was aborted due to timeout",
    "context deadline exceeded",
    "Error 503: Service Unavailable",
    "Your session has expired. Please log in again.",
    "The security token included in the request is expired",
    "Invalid API key",
    "invalid_grant: Token has been expired or revoked.",
    "You exceeded your current quota, please check your plan.",
    "Too many requests. Retry after 30 s.",
    "Rate limit reached for gpt-4o in organization org-x",
    "Sorry, the service is temporarily unavailable. Please try again later.",
    'There was an error: "boom"',
    "cat: /x: No such file or directory",
    "java.lang.NullPointerException\n\tat com.x.Y.z(Y.java:3)",
    "TimeoutError",
    "requests.exceptions.ReadTimeoutError.",
    "Se produjo un error: no hay conexión",
    "Une erreur s'est produite : délai dépassé",
    "Es ist ein Fehler aufgetreten: Zeitüberschreitung",
    "Ein interner Fehler ist aufgetreten.",
    "Ocorreu um erro ao consultar o pedido",
    "Si è verificato un errore",
    "Er is een fout opgetreden",
    "Wystąpił błąd",
    "Произошла ошибка: превышено время ожидания",
    "Bir hata oluştu",
    "Ett fel har uppstått",
    "发生错误：连接超时",
    "エラーが発生しました",
    "오류가 발생했습니다",
    '{"message": "Endpoint request timed out"}',
    '{"message": "The incoming token has expired"}',
    '{"code": "ECONNREFUSED", "message": "connect ECONNREFUSED 127.0.0.1:5432"}',
    '{"type": "error-text", "value": "boom"}',
    '{"type": "error-json", "value": {"message": "boom"}}',
    '{"faultcode": "soap:Server", "faultstring": "boom"}',
    '{"error_message": "boom", "result": ""}',
    '[{"text": "Error: boom"}]',
    '{"content": [{"type": "text", "text": "Error: boom"}], "isError": false}',
    '{"toolUseId": "t", "status": "success", "content": [{"text": "Error: boom"}]}',
    "<html><head><title>Just a moment...</title></head></html>",
    "<html><head><title>Attention Required! | Cloudflare</title></head></html>",
)
"""In the words of frameworks, drivers, gateways and protocols."""

NO_FAILURES = (
    "The request timed out handler is described here",
    "Request timed out: 0",
    "Operation aborted by the user",
    "Unknown tools of the stone age",
    "Tool 'hammer' fails often, a review",
    "Actions that don't exist: none",
    "Invalid tokens are refused, see page 4",
    "Session expired users: 3",
    "Too many requests for shoes were made in May",
    "Rate limit exceeded: 0 times",
    "Rate limits and how they are reached",
    "The token economy of 2026",
    "Sorry tales of the sea",
    "no error",
    "NoError",
    "12 validation errors were fixed",
    "Une erreur de jeunesse, roman",
    "Es ist ein Buch über Fehler",
    "错误处理指南",
    "The operation was called off. " + "Then they waited. " * 60 + "Request timed out",
    '{"error_message": "", "result": 3}',
    '{"type": "error-prone", "value": "x"}',
    '{"code": "EUROPE", "name": "Europe"}',
    '{"content": [{"type": "text", "text": "all good"}], "isError": false}',
    '[{"text": "How errors are handled: a guide"}]',
    "<html><head><title>Just a moment of peace</title></head></html>",
    f'{{{LLAMA_INDEX}, "blocks": [], "raw_output": "0 errors", "is_error": false}}',
    f"{{{GOOD_MESSAGE}}}",
    f'{{"output": {{"lc": 1, "kwargs": {{{GOOD_MESSAGE}}}}}, "kwargs": {{"error": "none"}}}}',
    f'{{"lc": 1, {OF_NODE}: {{"content": "0 errors", "tool_call_id": "c", "status": "success"}}}}',
    "",
    "No results found",
    "Not found",
    "error: 0",
    "Errors: 0",
    "Error: 0 errors found",
    "failed: 0, passed: 12",
    "Failure: none",
    "Error rate: 3%",
    "Standard error: 0.3",
    "Error budget: 99.9",
    "1 failed, 3 passed",
    "Error handling in Python: a guide",
    "Timeout errors: how to get rid of them",
    "ERROR: no answer from db-3\nINFO: trying again\nINFO: connected",
    "Failed states: a book about nations",
    "Failed login attempts: 3",
    "Timeout settings: 30 s",
    "404 pages printed",
    "500 Internal documents were read",
    "HTTP 404 is a status code that means there is nothing",
    "Permission denied errors are explained here",
    "error.log\nmain.py",
    "Fehlerbehandlung: ein Leitfaden",
    "Failed to " + "describe at length how the experiment of 1911 went on, " * 20,
    "The log says:\nTraceback (most recent call last)",
    '{"error": null, "id": 1}',
    '{"id": "c1", "name": "find", "response": {"result": "0 errors"}}',
    '{"id": "c1", "name": "find", "response": "Error: late", "order": 7}',
    '{"error": "none"}',
    '{"error": ""}',
    '{"errors": []}',
    '{"errors": [{"line": 3, "message": "unused import"}], "file": "a.py"}',
    '{"errors": [{"message": "slow"}], "data": {"order": 1}}',
    '{"code": 200, "message": "ok"}',
    '{"code": 500, "name": "Part 500"}',
    '{"status": 404, "name": "room 404", "title": "Room"}',
    '{"error_rate": 0.02, "status": "ok"}',
    '{"error_code": 0, "message": "done"}',
    '{"id": 7, "status": "failed", "stage": "test", "title": "Build of main"}',
    '{"data": {"error": "of measurement"}}',
    '[{"error": "row 3"}, {"id": 4}]',
    '{"content": [{"type": "text", "text": "How errors are handled: a guide"}]}',
    "<html><head><title>Error handling - docs</title></head></html>",
    "<html><head><title>What is HTTP 404?</title></head></html>",
    "<html><head><title>500 days of summer</title></head></html>",
)


@pytest.mark.parametrize("result", [*FAILURES, *WORDED])
def test_a_failure_is_told_in_any_form(result):
    """Sentences, status lines, pages and objects that are all that came back are failures."""
    assert failure_in(result)


@pytest.mark.parametrize("result", NO_FAILURES)
def test_what_only_mentions_errors_is_none(result):
    """Counts, texts about errors, records with a status and empty findings stay quiet."""
    assert failure_in(result) == ""


LEFT_TO_THE_ANALYSIS = {
    '{"status": "FAILED", "reason": "quota"}',
    '{"__type": "ThrottlingException", "message": "Rate exceeded"}',
    '{"detail": "Not authenticated"}',
}
"""What no quick look at a result can tell from the results of most calls."""


@pytest.mark.parametrize("result", FAILURES)
def test_a_quick_look_finds_what_tells_of_a_failure(result):
    """All forms but those of objects without any word for an error are worth reading."""
    assert may_tell(result) == (result not in LEFT_TO_THE_ANALYSIS)


@pytest.mark.parametrize("result", [*FAILURES, *NO_FAILURES])
@pytest.mark.parametrize("tool", ["search", "head_object"])
def test_what_is_flagged_when_received_is_a_failure_for_the_analysis(result, tool):
    """A list of failed traces names none that the report does not count."""
    values = {"openinference.span.kind": "TOOL", "tool.name": tool, "output.value": result}
    attributes = projected(values)["attributes"]
    flagged = attributes.pop("halo.derived.error", False)

    signal = error_signal(make_span(attributes=attributes))

    assert not flagged or signal is not None
    assert flagged or signal is None or result in LEFT_TO_THE_ANALYSIS


@pytest.mark.parametrize("result", WORDED)
def test_what_is_flagged_of_other_words_is_a_failure_too(result):
    """What the quick look takes for a failure is one for the analysis, whose words it is in."""
    values = {"openinference.span.kind": "TOOL", "tool.name": "search", "output.value": result}
    attributes = projected(values)["attributes"]
    attributes.pop("halo.derived.error", None)

    assert error_signal(make_span(attributes=attributes)) is not None


@pytest.mark.parametrize(
    ("tool", "result", "is_failure"),
    [
        ("get_error_logs", "Traceback (most recent call last):\n  File x\nKeyError: 'y'", False),
        ("kubectl", "Traceback (most recent call last):\n  File x\nKeyError: 'y'", False),
        ("queryLogs", "Error: connection refused\nError: connection refused", False),
        ("kubectl", '"Traceback (most recent call last):\\n  File x\\nKeyError: 1"', False),
        ("get_error_logs", "Error: index logs-7 is not open", True),
        ("get_error_logs", '{"error": "index\\nis not open"}', True),
        ("find_order", "Traceback (most recent call last):\n  File x\nKeyError: 'y'", True),
        ("catalog_search", "Error: that\ncatalogue is closed", True),
    ],
)
def test_the_lines_of_a_log_are_no_failure_of_who_shows_it(tool, result, is_failure):
    """Several lines are what others recorded; a line alone, or an object, is the tool's own."""
    assert bool(told_failure(result, tool)) is is_failure


@pytest.mark.parametrize(
    ("tool", "title", "is_failure"),
    [
        ("list_orders", "Sign in - Corp SSO", True),
        ("list_orders", "Anmelden", True),
        ("list_orders", "Signs of spring", False),
        ("fetch_page", "Sign in - Corp SSO", False),
        ("browser_snapshot", "Login", False),
    ],
)
def test_a_page_to_log_in_at_is_no_answer_where_no_page_was_asked_for(tool, title, is_failure):
    """A service whose session is over answers with its login; who opens pages may want it."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body></body></html>"

    assert bool(told_failure(page, tool)) is is_failure


def test_the_code_of_an_error_stands_before_its_description():
    """OAuth names a failure by a code and says it in words: both are told."""
    text = '{"error": "invalid_token", "error_description": "it expired"}'

    assert failure_in(text) == "invalid_token: it expired"


def test_the_message_of_an_object_is_what_it_says():
    """The status stands before the words, so that kinds of errors can be told apart."""
    assert failure_in('{"status": 429, "message": "slow down"}') == "HTTP 429: slow down"


def test_deep_nesting_ends():
    """An object in an object is looked into a few times, however deep it goes."""
    assert failure_in('{"result":' * 5_000 + '{"error":"x"}' + "}" * 5_000) == ""


@pytest.mark.parametrize(
    "text", ["Error de conexión: sin respuesta", "Ошибка: нет соединения", "Błąd: brak dostępu"]
)
def test_capital_letters_count_as_small_ones(text):
    """An error that is shouted is an error in every script."""
    assert failure_in(text.upper()) == text.upper()
