"""The models of a configuration: made, priced, closed."""

from collections.abc import Mapping

from halo_daemon.analyzer.agent.capability_file import CapabilityFile
from halo_daemon.analyzer.agent.engine_config import EngineConfig, ModelConfig
from halo_daemon.analyzer.agent.errors import Action, ModelError
from halo_daemon.analyzer.agent.model import ChatModel, ModelReply, ModelRequest, TextSink
from halo_daemon.analyzer.agent.session import RoleModel, RunModels
from halo_daemon.analyzer.agent.usage import Price, price_of
from halo_daemon.proto.json_value import JsonObject


def models_of(
    config: EngineConfig, environ: Mapping[str, str], learnt: CapabilityFile
) -> RunModels:
    """
    The models of a configuration; equal ones share a client.

    Args:
        config: Which models.

        environ: Where addresses and keys stand that the configuration leaves out.

        learnt: What is known of providers.

    Raises:
        ConfigError: The default provider needs a key and there is none.
    """
    made: dict[str, RoleModel] = {}

    def role(model: ModelConfig) -> RoleModel:
        key = model.model_dump_json()
        if key not in made:
            price = price_of(model.name, prices_of(config))
            made[key] = RoleModel(
                make_model(config, model, environ, learnt),
                model.name,
                price,
                model.maximum_output_tokens,
                config.context_window,
            )
        return made[key]

    return RunModels(
        role(config.root_agent.model),
        role(config.subagent.model),
        role(config.synthesis_model),
        role(config.compaction_model),
    )


def make_model(
    config: EngineConfig,
    model: ModelConfig,
    environ: Mapping[str, str],
    learnt: CapabilityFile,
) -> ChatModel:
    """
    A client for one model.

    Raises:
        ConfigError: The default provider needs a key and there is none.
    """
    # Importing the client costs most of a second; what only reads events never pays it.
    from halo_daemon.analyzer.agent.llm import (  # noqa: PLC0415
        DEFAULT_BASE_URL,
        OpenAIModel,
        OpenAISettings,
    )

    provider = config.model_provider
    key = provider.api_key.get_secret_value() if provider.api_key else None
    fields: JsonObject = {
        "model": model.name,
        "base_url": provider.base_url or environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL,
        "api_key": key or environ.get("OPENAI_API_KEY", ""),
        "headers": {**(provider.default_headers or {})},
        "api": config.api,
        "temperature": model.temperature,
        "reasoning_effort": model.reasoning_effort or "",
        "parallel_tool_calls": model.parallel_tool_calls,
    }
    settings = OpenAISettings.model_validate(fields)
    return OpenAIModel(settings, learnt.of(f"{settings.model} at {settings.base_url}"))


def prices_of(config: EngineConfig) -> dict[str, Price]:
    """The prices that were stated, by the name of the model."""
    return {
        name: Price(price.input_usd, price.output_usd, price.cached_input_usd)
        for name, price in config.prices.items()
    }


class AbsentModel:
    """Stands where no model is asked, in a replay; asked all the same, it fails."""

    label = "none"
    parameters_dropped: tuple[str, ...] = ()

    async def complete(self, request: ModelRequest, *, on_text: TextSink) -> ModelReply:
        """Fail."""
        del request, on_text
        raise ModelError("cannot complete: a replay has no model", action=Action.STOP)

    async def aclose(self) -> None:
        """Nothing is open."""


def absent_models(config: EngineConfig) -> RunModels:
    """The names of a configuration's models, without clients."""
    return RunModels.all_by(RoleModel(AbsentModel(), config.root_agent.model.name))


async def close_models(models: RunModels) -> None:
    """Close the clients of *models*, each once."""
    for model in {id(role.model): role.model for role in _roles(models)}.values():
        await model.aclose()


def _roles(models: RunModels) -> tuple[RoleModel, ...]:
    return models.root, models.subagent, models.synthesis, models.compaction
