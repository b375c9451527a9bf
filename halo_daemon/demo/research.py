"""A research agent: searches, reads pages, takes notes and writes a summary."""

from random import Random

import orjson

from halo_daemon.demo.faults import Mode
from halo_daemon.demo.script import SampleAgent, Script, ToolSpec, ToolStep, Turn, ask, schema

_TOPICS = (
    "heat pumps in old houses",
    "tidal power in Brittany",
    "error handling in distributed systems",
    "sodium batteries for buses",
    "urban beekeeping",
    "the history of the metric system",
    "desalination with waste heat",
)
_ANGLES = ("costs", "field studies", "criticism", "recent numbers", "regulation")
_SITES = ("journal.example", "archive.example", "news.example", "gov.example")
# Pages that are about errors are no errors.
_OPENINGS = (
    "A study of 214 sites over three years.",
    "Errors are not exceptional: of 1,000 requests, 12 failed and were retried.",
    "This review compares eleven field trials.",
    "The committee's figures, revised in spring.",
)

_TOOLS = (
    ToolSpec(
        "search_web",
        "Search the web.",
        schema({"query": "string"}, {"max_results": "integer"}),
        parts=(("embed_query", "EMBEDDING"), ("vector_search", "RETRIEVER")),
    ),
    ToolSpec("fetch_page", "Read one page.", schema({"url": "string"}, {"part": "integer"})),
    ToolSpec("take_note", "Keep a note for the summary.", schema({"text": "string"})),
)


def _write_script(rng: Random, number: int) -> Script:
    topic = _TOPICS[number % len(_TOPICS)]
    angles = rng.sample(_ANGLES, 2)
    turns: list[Turn] = []
    for angle in angles:
        urls = [f"https://{rng.choice(_SITES)}/{rng.randint(100, 999)}" for _ in range(3)]
        turns += [
            ask(_search(rng, f"{topic} {angle}", urls)),
            ask(*(_page(rng, url, topic, angle) for url in urls[:2])),
            ask(ToolStep("take_note", {"text": f"{angle}: {rng.randint(3, 60)} %"}, "noted")),
        ]
    turns += [*_long_page(rng, topic), Turn(text=_summary(rng, topic, angles))]
    return Script(
        question=f"Summarise what is known about {topic}, with sources.",
        turns=tuple(turns),
        model=rng.choice(("claude-sonnet-4-5", "claude-haiku-4-5")),
        session_id=f"brief-{number:04d}",
        user_id=f"desk-{number % 5}",
        version="2026.11",
        max_output_tokens=160,
    )


def _search(rng: Random, query: str, urls: list[str]) -> ToolStep:
    hits = [{"url": url, "score": rng.randint(40, 99) / 100} for url in urls]
    return ToolStep("search_web", {"query": query}, orjson.dumps(hits).decode(), duration_ms=340)


def _page(rng: Random, url: str, topic: str, angle: str) -> ToolStep:
    text = f"{rng.choice(_OPENINGS)} On {topic}, {angle}: {rng.randint(2, 90)} of 100 cases."
    return ToolStep("fetch_page", {"url": url}, text, duration_ms=rng.randint(200, 900))


def _long_page(rng: Random, topic: str) -> list[Turn]:
    """A near-miss: one page read part by part, each with other text."""
    if rng.random() > 1 / 2:
        return []
    url = f"https://{rng.choice(_SITES)}/report"
    return [
        ask(
            ToolStep(
                "fetch_page",
                {"url": url, "part": part},
                f"Part {part} of 3 of the report on {topic}: {rng.randint(100, 999)} entries.",
            )
        )
        for part in (1, 2, 3)
    ]


def _summary(rng: Random, topic: str, angles: list[str]) -> str:
    points = " ".join(
        f"On {angle}, sources agree within {rng.randint(2, 9)} percent and name the same causes."
        for angle in angles
    )
    return f"What is known about {topic}. {points} Open questions remain for colder regions."


RESEARCH = SampleAgent(
    name="research",
    system_prompt="You research a question on the web and answer with sources.",
    provider="anthropic",
    traces=40,
    tools=_TOOLS,
    write_script=_write_script,
    fault_rates={Mode.TRUNCATED_OUTPUT: 8 / 40, Mode.MADE_UP_TOOL: 6 / 40},
    fault_tools={Mode.MADE_UP_TOOL: "fetch_page"},
    claim="The summary is complete; every source was read.",
    made_up_tool="open_url",
)
