import json
import re
from pathlib import Path

import pytest

from halo_daemon.analyzer.agent.prompts import load_prompt
from halo_daemon.analyzer.agent.repo_tools import repo_tools
from halo_daemon.testing.scripted_chat import ScriptedChatModel
from tests.unit.analyzer.agent.test_tree import FINISH, run

GOLDEN = Path(__file__).parents[3] / "golden" / "agent"
PROMPTS = ("root", "subagent", "synthesis", "compaction", "query")


async def offered(tmp_path) -> dict[str, dict]:
    """Every tool on offer with its parameters, in short."""
    model = ScriptedChatModel(lambda _: FINISH)
    await run(model)
    schemas = [*model.seen[0].tools, *(tool.schema for tool in repo_tools(tmp_path))]
    return {
        schema.name: _short(schema.parameters) for schema in sorted(schemas, key=lambda s: s.name)
    }


def _short(parameters: dict) -> dict:
    required = parameters.get("required", [])
    return {
        name: {
            key: value
            for key, value in (field | {"required": name in required}).items()
            if key in {"type", "default", "minimum", "maximum", "minItems", "maxItems", "required"}
        }
        for name, field in parameters.get("properties", {}).items()
    }


async def test_tools_keep_their_names_and_shapes(tmp_path):
    """Prompts written for these tools go on working: names, types, ranges and defaults stay."""
    golden = json.loads((GOLDEN / "tools.json").read_text())

    assert await offered(tmp_path) == golden


@pytest.mark.parametrize("name", ["root", "subagent"])
async def test_prompts_name_only_tools_that_exist(name, tmp_path):
    """A tool that a prompt recommends is on offer."""
    tools = await offered(tmp_path)
    named = {word for word in re.findall(r"`(\w+)`", load_prompt(name)) if "_" in word}

    assert named - {"raw_jsonl_bytes", "has_errors", "query_id"} <= {*tools}


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_say_that_traces_are_data(name):
    """Every prompt whose model reads traces says that instructions inside are not for it."""
    text = load_prompt(name)

    assert "not for you" in text
    assert len(text) < 6_000


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts_are_the_reviewed_ones(name):
    """A changed prompt shows as a change of its golden copy."""
    assert load_prompt(name) == (GOLDEN / f"{name}.md").read_text().strip()
