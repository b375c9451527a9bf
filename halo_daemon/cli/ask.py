"""``halo-daemon ask``: put a question about traces to the HALO agent."""

from pathlib import Path
from typing import Annotated

import typer

from halo_daemon.cli.instants import parse_instant
from halo_daemon.cli.options import (
    ConfigOption,
    DataOption,
    JsonOption,
    SinceOption,
    UntilOption,
    load_config,
)


def _text(help_text: str, *names: str, metavar: str = "TEXT") -> object:
    return typer.Option(*names, help=help_text, metavar=metavar, show_default=False)


_Paths = Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="Trace files.")]
_Prompt = Annotated[str, _text("The question.", "--prompt", "-p")]
_Project = Annotated[str, _text("Ask about the stored traces of a project.", metavar="NAME")]
_Model = Annotated[str, typer.Option("--model", "-m", metavar="NAME", help="Who answers.")]
_Synthesis = Annotated[str, _text("Who summarises; else --model.", metavar="NAME")]
_Compaction = Annotated[str, _text("Who shortens history; else --model.", metavar="NAME")]
_BaseUrl = Annotated[str, _text("The provider; else $OPENAI_BASE_URL.", metavar="URL")]
_ApiKey = Annotated[str, _text("Its key; else $OPENAI_API_KEY.", metavar="KEY")]
_Header = Annotated[list[str] | None, _text("Sent along.", "--header", "-H", metavar="'N: V'")]
_Api = Annotated[str, typer.Option(help="auto, chat or responses.")]
_Temperature = Annotated[
    float | None, typer.Option(metavar="T", min=0, max=2, help="Of the model.")
]
_OutputTokens = Annotated[int | None, typer.Option(metavar="TOKENS", min=1, help="Longest answer.")]
_Effort = Annotated[str, _text("none, minimal, low, medium, high, xhigh or max.")]
_Parallel = Annotated[bool, typer.Option(help="Several tool calls at once.")]
_Depth = Annotated[int, typer.Option(metavar="N", min=0, help="Levels of sub-agents.")]
_Turns = Annotated[int, typer.Option(metavar="N", min=1, help="Turns of each agent.")]
_Children = Annotated[int, typer.Option(metavar="N", min=1, help="Sub-agents of a level at once.")]
_Retries = Annotated[
    int, typer.Option(metavar="N", min=0, help="Times that a refusal is sent again.")
]
_Repo = Annotated[Path | None, typer.Option(help="Repository that may be read.")]
_Usd = Annotated[float | None, typer.Option(metavar="USD", min=0, help="Dollars; needs --price.")]
_Tokens = Annotated[int | None, typer.Option(metavar="N", min=0, help="Tokens, in and out.")]
_Minutes = Annotated[float | None, typer.Option(metavar="MINUTES", min=0, help="Wall clock.")]
_Price = Annotated[str, _text("Dollars for a million tokens.", metavar="IN,OUT")]
_Resume = Annotated[str, _text("Go on with a run that stopped.", metavar="RUN")]
_Telemetry = Annotated[bool, typer.Option(help="Accepted for compatibility; nothing is sent.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be sent; send nothing.")]


def ask(
    ctx: typer.Context,
    *,
    paths: _Paths = None,
    prompt: _Prompt,
    project: _Project = "",
    since: SinceOption = "24h",
    until: UntilOption = "now",
    model: _Model = "gpt-5.4-mini",
    synthesis_model: _Synthesis = "",
    compaction_model: _Compaction = "",
    base_url: _BaseUrl = "",
    api_key: _ApiKey = "",
    header: _Header = None,
    api: _Api = "auto",
    temperature: _Temperature = None,
    max_output_tokens: _OutputTokens = None,
    reasoning_effort: _Effort = "",
    parallel_tool_calls: _Parallel = True,
    max_depth: _Depth = 2,
    max_turns: _Turns = 20,
    max_parallel: _Children = 4,
    refusal_retries: _Retries = 0,
    repo_path: _Repo = None,
    budget_usd: _Usd = None,
    budget_tokens: _Tokens = None,
    budget_minutes: _Minutes = None,
    price: _Price = "",
    resume: _Resume = "",
    telemetry: _Telemetry = False,
    dry_run: _DryRun = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """
    Ask a model about traces, with tools that read them and claims that are checked.

    The answer goes to stdout, progress to stderr; with --json, events, one a line.
    Exits 4 when a budget ended the run, 1 when the model failed.
    """
    import time

    from halo_daemon.cli.agent_runs import AskOptions, Question, answer, print_plan

    del telemetry
    settings = load_config(ctx, config=config, data=data)
    now_unix_ns = time.time_ns()
    question = Question(
        prompt=prompt,
        paths=tuple(str(path.absolute()) for path in paths or ()),
        project=project,
        since_unix_ns=parse_instant(since, now_unix_ns=now_unix_ns),
        until_unix_ns=parse_instant(until, now_unix_ns=now_unix_ns),
    )
    options = AskOptions(
        model=model, synthesis_model=synthesis_model or model,
        compaction_model=compaction_model or model, base_url=base_url, api_key=api_key,
        headers=tuple(header or ()), api=api, temperature=temperature,
        max_output_tokens=max_output_tokens, reasoning_effort=reasoning_effort,
        parallel_tool_calls=parallel_tool_calls, max_depth=max_depth, max_turns=max_turns,
        max_parallel=max_parallel, refusal_retries=refusal_retries, repo_path=repo_path,
        budget_usd=budget_usd, budget_tokens=budget_tokens, price=price,
        budget_seconds=None if budget_minutes is None else budget_minutes * 60,
    )  # fmt: skip
    if dry_run:
        print_plan(settings, options, question)
        return
    raise typer.Exit(answer(settings, options, question, resume=resume, as_json=as_json))
