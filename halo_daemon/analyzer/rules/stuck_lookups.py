"""
Look-ups that answer the same whatever is asked, as a cache does whose key lacks an argument.

Many questions have one answer: cities of one country, orders of one customer, words for one
thing. So only arguments count that name different things, and only results that belong to
one of them: a record that says which thing it is of, or one with an id or much to say.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations, pairwise

from halo_daemon.analyzer.content import parse_json
from halo_daemon.analyzer.fingerprint import FindingKey
from halo_daemon.analyzer.observation import Observation, RuleOutput, over_units, quote
from halo_daemon.analyzer.populations import Population
from halo_daemon.analyzer.rules.errors import decision_quote
from halo_daemon.analyzer.rules.identifiers import scalar_of
from halo_daemon.analyzer.rules.retrieval import is_empty, is_lookup
from halo_daemon.analyzer.rules.side_effects import changes_world
from halo_daemon.analyzer.rules.tool_words import finishes, hands_over, word_list, words_of
from halo_daemon.analyzer.subjects import Subject
from halo_daemon.analyzer.tool_call import ToolCall
from halo_daemon.analyzer.trace_view import TraceView
from halo_daemon.proto.json_value import JsonValue

STUCK_LOOKUP = "stuck_lookup"
_MIN_CALLS = 3
_MIN_CHARS = 80
_MAX_CHARS = 200_000
_HEAD_CHARS = 300
_MAX_VALUE_CHARS = 60
_MAX_VALUE_WORDS = 3
_ALIKE = 0.6
_MAX_COMPARED = 8
_GENERAL = frozenset(
    {"config", "configuration", "docs", "documentation", "echo", "faq", "guide", "help", "manual"}
    | {"policies", "policy", "regulations", "requirements", "rule", "rules", "schema", "settings"}
    | {"support", "template", "terms", "time", "today", "tools", "version"}
)
"""Words of tools whose answer hardly depends on what is asked."""

_FREE = frozenset(
    {"currency", "date", "day", "description", "directory", "end", "file", "filename", "filter"}
    | {"folder", "format", "keyword", "keywords", "lang", "language", "limit", "locale", "message"}
    | {"mode", "month", "night", "offset", "page", "path", "pattern", "prompt", "q"}
    | {"query", "question", "reason", "request", "search", "since", "size", "sort", "start", "term"}
    | {"terms", "text", "thought", "time", "timezone", "token", "unit", "units", "until", "url"}
    | {"week", "words", "year"}
)
"""Words of arguments that ask for the same in another way, or for more or less of it."""

_IDS = frozenset({"code", "email", "id", "key", "no", "number", "ref", "reference", "sku", "uuid"})
_WORD = re.compile(r"[^\W_]{2,}")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?(?:[T ][\d:.Z+-]*)?")
_LONG_NUMBER = re.compile(r"(?<![\d.,])(?!(?:19|20)\d\d(?!\d))\d{4,}(?!\d)")
"""No year; what has four digits and more is hardly the same for two things by chance."""

_HOLDS_NOTHING = re.compile(r"\[\s*\]|\{\s*\}|\"(?:count|total|results?|hits)\"\s*:\s*(?:0\b|null)")
_SAYS_NOTHING = re.compile(
    r"\b(?i:no|not|none|nothing|never|cannot|can't|unable|unavailable|failed|error|invalid"
    r"|denied|unknown|missing|empty|expired|pending|queued|running|maintenance|sorry|please"
    r"|kein|keine|nicht|nichts|aucune?|pas|rien|ningun[ao]?|nada|nenhum[a]?)\b"
)
_SPEAKS = re.compile(r"\"(?:details?|errors?|info|message|msg|note|reason|status|warnings?)\"\s*:")
"""Fields of a record that hold words: elsewhere ``no`` is a value like others."""


def check_stuck_lookups(view: TraceView) -> RuleOutput:
    """Three look-ups in a row of different things, all with one and the same result."""
    asked = {
        s for s, calls in view.used_tools.items() if calls >= _MIN_CALLS and _may_be_stuck(s.name)
    }
    told = {s for s in asked if all(call.result.value or call.signal for call in view.calls_of(s))}
    found = (_stuck(view, subject) for subject in sorted(asked))
    eligible = frozenset(Population("repeated", *subject) for subject in asked)
    return over_units(filter(None, found), eligible, checked=len(told), of=len(asked))


@lru_cache(maxsize=4096)
def _may_be_stuck(tool: str) -> bool:
    return is_lookup(tool) and not (
        hands_over(tool) or finishes(tool) or not words_of(tool).isdisjoint(_GENERAL)
    )


def _stuck(view: TraceView, subject: Subject) -> Observation | None:
    run = stuck_run(view, subject)
    return _observation(view, run) if run else None


def stuck_run(view: TraceView, subject: Subject) -> Sequence[ToolCall]:
    """The longest run of look-ups of different things with one result; empty for none."""
    calls = view.calls_of(subject)
    if not (_may_be_stuck(subject.name) and any(_are_alike(*pair) for pair in pairwise(calls))):
        return ()
    run = max(_runs(calls), key=len)
    if len(run) < _MIN_CALLS or changes_world(view, subject.name):
        return ()
    return run if _is_answer(run[0].result.value) and _is_stuck(run) else ()


def _runs(calls: Sequence[ToolCall]) -> Iterator[list[ToolCall]]:
    """Calls in a row with one result."""
    run: list[ToolCall] = []
    for call in calls:
        if run and not _are_alike(run[-1], call):
            yield run
            run = []
        run.append(call)
    yield run


def _are_alike(left: ToolCall, right: ToolCall) -> bool:
    """Whether both went through and came out the same; a cheap no comes first."""
    return (
        len(left.result.value) == len(right.result.value) > 0
        and left.signal is None
        and right.signal is None
        and left.has_result_of(right)
    )


def _is_answer(result: str) -> bool:
    """Whether *result* tells of something, neither of a failure nor of nothing."""
    if is_empty(result) or len(result) > _MAX_CHARS:
        return False
    head = result[:_HEAD_CHARS]
    if _HOLDS_NOTHING.search(head):
        return False
    is_record = head.lstrip()[:1] in {"{", "["} and not _SPEAKS.search(head)
    return is_record or _SAYS_NOTHING.search(head) is None


def _is_stuck(run: Sequence[ToolCall]) -> bool:
    """Whether one of the things asked for cannot be what the result is of."""
    result = run[0].result.value
    folded, parsed = result.casefold(), parse_json(result)
    tells_much = len(result) >= _MIN_CHARS or _LONG_NUMBER.search(result) is not None
    for key, values in _asked(run).items():
        # What names several of the things asked for may be right for each of them.
        if (
            not _are_different_things(key, values)
            or sum(v.casefold() in folded for v in values) > 1
        ):
            continue
        if len(_stated(parsed, key)) == 1 or (tells_much and not _asks_another(run[0].tool, key)):
            return True
    return False


def _asked(run: Sequence[ToolCall]) -> dict[str, list[str]]:
    """Different values of every argument that all calls have and that can name a thing."""
    found: dict[str, dict[str, None]] = {}
    for call in run:
        parsed = parse_json(call.arguments.value)
        for key, value in parsed.items() if isinstance(parsed, dict) else ():
            text = scalar_of(value)
            if text and words_of(key).isdisjoint(_FREE):
                found.setdefault(key, {})[text] = None
    return {key: list(values) for key, values in found.items() if len(values) >= _MIN_CALLS}


def _are_different_things(key: str, values: Sequence[str]) -> bool:
    """Whether no two of *values* can name one thing; two ids never do."""
    if is_id(key):
        return True
    return all(map(_names_a_thing, values)) and not any(
        _may_be_one(left.casefold(), right.casefold())
        for left, right in combinations(values[:_MAX_COMPARED], 2)
    )


def _names_a_thing(value: str) -> bool:
    if len(value) > _MAX_VALUE_CHARS or len(value.split()) > _MAX_VALUE_WORDS:
        return False
    is_name = any(char.isalpha() for char in value) or _LONG_NUMBER.search(value) is not None
    return is_name and _DATE.fullmatch(value) is None


def _may_be_one(left: str, right: str) -> bool:
    if left in right or right in left:
        return True
    if not set(_WORD.findall(left)).isdisjoint(_WORD.findall(right)):
        return True
    return SequenceMatcher(None, left, right, autojunk=False).ratio() >= _ALIKE


def _stated(parsed: JsonValue, key: str) -> set[str]:
    """What the records of a result say under the name of the argument *key*."""
    rows = parsed if isinstance(parsed, list) else [parsed]
    inside = [value for row in rows if isinstance(row, dict) for value in row.values()]
    nested = [item for value in inside for item in (value if isinstance(value, list) else [value])]
    records = [row for row in (*rows, *nested) if isinstance(row, dict)]
    return {text for row in records if (text := scalar_of(row.get(key)))}


def is_id(key: str) -> bool:
    """Whether an argument of that name is given what tells one thing from all others."""
    return not _IDS.isdisjoint(word_list(key)[-1:])


def _asks_another(tool: str, key: str) -> bool:
    """Whether *key* is the id of another kind of thing than *tool* is for: many may share one."""
    kinds = {word.rstrip("s") for word in words_of(tool)}
    return is_id(key) and kinds.isdisjoint(word.rstrip("s") for word in word_list(key)[:-1])


def _observation(view: TraceView, run: Sequence[ToolCall]) -> Observation:
    first, last = run[0], run[-1]
    quotes = [quote(last.span, "symptom", last.result)]
    decision = view.decision_of(last.span)
    if decision:
        quotes.append(decision_quote(decision))
    quotes += [quote(call.span, "symptom", call.arguments) for call in (last, first)]
    key = FindingKey(STUCK_LOOKUP, last.agent, last.tool, "", "")
    return Observation(key, tuple(quotes), spans=len(run))
