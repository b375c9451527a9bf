"""
The model's part of an analysis, built from the configuration.

Whatever happens to the model, a complete report comes back: the rules' own,
marked partial with the reason.
"""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from halo_daemon.analyzer.agent.budget import Budget
from halo_daemon.analyzer.agent.capability_file import CapabilityFile
from halo_daemon.analyzer.agent.explain import DryRun, ExplainSettings, dry_run, explain
from halo_daemon.analyzer.agent.llm import DEFAULT_BASE_URL, OpenAIModel, OpenAISettings
from halo_daemon.analyzer.agent.model import ChatModel
from halo_daemon.analyzer.agent.session import RunSettings
from halo_daemon.analyzer.agent.usage import Price
from halo_daemon.config import Config, ModelConfig
from halo_daemon.findings import Report
from halo_daemon.store.paths import DataPaths
from halo_daemon.store.query import TraceQueries
from halo_daemon.store.trace_reader import TraceReader

# The rest of the wall clock is for the rules before and the files after.
_SHARE_OF_WALL = 0.8


def capabilities_of(config: Config) -> CapabilityFile:
    """What earlier runs learnt of providers, such as parameters that they refuse."""
    return CapabilityFile(DataPaths(config.data.dir).capabilities, time.time_ns)


def model_of(config: Config, learnt: CapabilityFile) -> ChatModel:
    """
    Build the client of `models.default`; nothing is sent yet.

    Raises:
        ConfigError: OpenAI's own address needs a key and there is none.
    """
    model = config.models.default
    key = model.api_key.get_secret_value() if model.api_key else None
    settings = OpenAISettings.model_validate(
        {
            "model": model.model,
            "base_url": model.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL,
            "api_key": key or os.environ.get("OPENAI_API_KEY", ""),
            "api": model.api,
        }
    )
    return OpenAIModel(settings, learnt.of(f"{settings.base_url} {settings.model}"))


def explained(
    config: Config,
    report: Report,
    reader: TraceReader,
    *,
    model: ChatModel,
    queries: TraceQueries,
    journal_path: Path,
    question: str = "",
) -> Report:
    """
    Let the model explain and extend *report*; closes *model*.

    SIGINT and SIGTERM end the model's part; the report is complete all the same.

    Args:
        config: Model, budget and prices.

        report: What the rules found.

        reader: The traces of the report's window.

        model: From `model_of`.

        queries: The same traces, by index.

        journal_path: Where each step is kept.

        question: What a person wants to know besides; ``""`` for nothing.
    """

    async def run() -> Report:
        stop = asyncio.Event()
        try:
            with _set_by_signals(stop):
                return await explain(
                    report,
                    reader,
                    model,
                    queries=queries,
                    settings=_settings(config, question),
                    journal_path=journal_path,
                    stop=stop,
                )
        finally:
            await model.aclose()

    journal_path.parent.mkdir(parents=True, exist_ok=True)
    return asyncio.run(run())


def unexplained(report: Report, reason: str) -> Report:
    """*report* as it is, marked partial because the model could not be asked."""
    engine = report.engine.model_copy(
        update={"mode": "llm", "status": "partial", "reason": "not_configured"}
    )
    limits = (*report.limits, f"The model was not asked: {reason}.")
    return report.model_copy(update={"engine": engine, "limits": limits})


def plan_of(
    config: Config,
    report: Report,
    reader: TraceReader,
    *,
    queries: TraceQueries,
    question: str = "",
) -> DryRun:
    """Say what `explained` would send and may cost; sends nothing."""
    return dry_run(report, reader, _settings(config, question), queries=queries)


def _settings(config: Config, question: str) -> ExplainSettings:
    model, budget = config.models.default, config.analysis.budget
    return ExplainSettings(
        model_name=model.model,
        asked=question,
        price=_price(model),
        run=RunSettings(
            budget=Budget(
                usd=budget.usd, tokens=budget.tokens, seconds=budget.wall_s * _SHARE_OF_WALL
            )
        ),
    )


def _price(model: ModelConfig) -> Price | None:
    stated = model.price
    if stated.input_usd is not None and stated.output_usd is not None:
        return Price(stated.input_usd, stated.output_usd)
    return None


@contextmanager
def _set_by_signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for each in signals:
        loop.add_signal_handler(each, stop.set)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
