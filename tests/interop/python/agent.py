"""
Runs an agent whose only tool fails, with nothing instrumented but the client of the model.

``agent.py INSTRUMENTATION URL MODEL_URL PROJECT API FORM``: four runs of two model calls with
a call of the tool between them. API is ``chat`` or ``responses``; in the form ``together`` a
run is a trace, in the form ``apart`` each model call is one of its own.
"""

import contextlib
import json
import sys
from typing import Any

import openai
from call import MESSAGES, TOOLS, instrumented  # type: ignore[import-not-found]

RUNS = 4


def weather(city: str) -> str:
    """What the tool would say of the weather in a city, if it did not fail."""
    raise LookupError(f"station 17 of {city} does not answer")


def ran(name: str, arguments: str) -> str:
    """The result of a call, as agents hand failures to the model."""
    try:
        return {"weather": weather}[name](**json.loads(arguments))
    except LookupError as exc:
        return f"Error: {exc}"


def chat(client: openai.OpenAI) -> None:
    """One run over the API for chats."""
    messages: list[Any] = [*MESSAGES]
    while True:
        answer = client.chat.completions.create(
            model="gpt-scripted", messages=messages, tools=TOOLS
        )
        said = answer.choices[0].message
        if not said.tool_calls:
            return
        messages.append(said.model_dump(exclude_none=True))
        for call in said.tool_calls:
            result = ran(call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def responses(client: openai.OpenAI) -> None:
    """One run over the API for responses."""
    items: list[Any] = [MESSAGES[1]]
    tools = [{"type": "function", **TOOLS[0]["function"]}]
    while True:
        answer = client.responses.create(model="gpt-scripted", input=items, tools=tools)
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            return
        items += [item.model_dump(exclude_none=True) for item in answer.output]
        for call in calls:
            result = ran(call.name, call.arguments)
            items.append(
                {"type": "function_call_output", "call_id": call.call_id, "output": result}
            )


def main() -> None:
    """Make the runs, and send all spans before the end."""
    instrumentation, url, model_url, project, api, form = sys.argv[1:]
    client = openai.OpenAI(base_url=model_url, api_key="none", max_retries=0)
    run = {"chat": chat, "responses": responses}[api]
    with instrumented(instrumentation, "http", url, project) as provider:
        tracer = provider.get_tracer("agent")
        for _ in range(RUNS):
            whole = tracer.start_as_current_span("run") if form == "together" else None
            with whole or contextlib.nullcontext():
                run(client)


if __name__ == "__main__":
    main()
