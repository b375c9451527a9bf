"""What findings are called whose words are the same but for their subject, by rule."""

from typing import NamedTuple

from halo_daemon.analyzer.rules.error_kinds import Diagnosis, FixType


class Plain(NamedTuple):
    """Words that only need the subject or the kind put in."""

    title: str
    category: str
    diagnosis: Diagnosis
    fix_type: FixType
    advice: str
    cause: str = ""


PLAIN: dict[str, Plain] = {
    "cycle": Plain(
        "The run goes round in circles between {subject}",
        "repetitive-behavior/step-repetition",
        "implementation",
        "code",
        "End the loop after the third equal round, and tell the model what it has tried.",
    ),
    "stuck_lookup": Plain(
        "{subject} answers the same whatever it is asked",
        "execution-error/service-errors",
        "implementation",
        "code",
        "Look at what answers for the tool: a cache whose key leaves an argument out, an argument"
        " that is not passed on, or a record that stands in for all others.",
        "The result does not depend on the arguments.",
    ),
    "near_repeat": Plain(
        "{subject} is asked almost the same again and again, with the same result",
        "repetitive-behavior/repetition-info",
        "implementation",
        "tool_description",
        "Say in the result what else could be asked, or that there is nothing.",
        "The result does not tell the model that asking in other words is no use.",
    ),
    "degenerate_output": Plain(
        "Output of {subject} ends in one phrase, over and over again",
        "llm-output/nonsensical",
        "implementation",
        "config",
        "Raise the temperature or set a penalty on repetition, limit the output of this call, and"
        " ask again instead of passing such an answer on.",
        "The model fell into a loop that it does not leave by itself.",
    ),
    "prompt_leak": Plain(
        "The user is told the beginning of the agent's own instructions",
        "security",
        "not_followed",
        "code",
        "Keep out of the prompt what users may not read, and hold answers against the prompt before"
        " they are sent.",
    ),
    "echoed_result": Plain(
        "{subject} runs code that only prints its own text",
        "incorrect-actions/tool-selection",
        "not_followed",
        "tool_description",
        "Show in the prompt how a tool is called from code, and answer code that calls nothing"
        " with a note that nothing was done.",
        "The model writes down what it wants done where it should have called a tool.",
    ),
    "empty_result": Plain(
        "{subject} finds nothing, and the run goes on without asking differently",
        "incorrect-actions/poor-information-retrieval",
        "not_followed",
        "tool_description",
        "Let an empty result say what was searched and how to widen the search.",
    ),
    "refusal": Plain(
        "The run ends with a refusal",
        "other",
        "not_followed",
        "system_prompt",
        "Read some of these runs: a correct refusal is no failure.",
    ),
    "claimed_not_done": Plain(
        "The user is told that something was {kind}, and no call did it",
        "hallucination/hall-capabilities",
        "not_followed",
        "system_prompt",
        "Let the agent state what was done only from the result of the call that did it.",
        "The model reports its intention as a fact.",
    ),
    "no_progress": Plain(
        "The run says itself that it makes no progress",
        "repetitive-behavior/step-repetition",
        "implementation",
        "code",
        "Act on the statement: change the plan, hand over, or end the run with what is known.",
        "What was tried first brought nothing, and nothing else was tried.",
    ),
    "ungrounded_answer": Plain(
        "The answer holds a {kind} that no input and no result holds",
        "hallucination/fabricate-tool-outputs",
        "not_followed",
        "system_prompt",
        "Ask for the source of every figure and address, and check them before answering.",
    ),
    "ungrounded_argument": Plain(
        "{subject} is called with a {kind} that the model was not given",
        "hallucination/hall-params",
        "not_followed",
        "system_prompt",
        "Tell the model to look an id up or to ask for it, and let the tool refuse what it does"
        " not know and say where ids come from.",
        "The model fills in an argument that it has no value for.",
    ),
    "model_swap": Plain(
        "{subject} was asked for, {kind} answered",
        "configuration-mismatch/tool-definition",
        "external",
        "config",
        "Pin the model in the gateway's routes, or record the fallback on purpose.",
    ),
    "context_growth": Plain(
        "The prompt grows five-fold over the run",
        "context-handling-error/context-handling-failures",
        "implementation",
        "code",
        "Cut or sum up old results before they are sent again.",
    ),
    "output_decay": Plain(
        "Answers fade to almost nothing towards the end of the run",
        "context-handling-error/context-handling-failures",
        "implementation",
        "code",
        "Look at the prompt of the last calls: what fills it, and what is cut off.",
    ),
    "double_side_effect": Plain(
        "{subject} is done twice with the same arguments",
        "repetitive-behavior/repetition-tool",
        "implementation",
        "code",
        "Give the call an idempotency key, and answer the second one with the first result.",
    ),
    "output_format": Plain(
        "Answers of {subject} are not in the form that was asked for: {change}",
        "execution-error/formatting",
        "not_followed",
        "code",
        "Let the provider hold the model to the schema where it can (strict mode); else check the"
        " answer before it is used, and ask again with what was wrong in it.",
    ),
    "precondition": Plain(
        "{subject} is called before {kind} succeeded",
        "task-instruction/non-compliance",
        "not_followed",
        "code",
        "Refuse the call in the tool until the precondition holds, and say which.",
    ),
    "failed_value_used": Plain(
        "{subject} is given a value that only a failed call supplied",
        "hallucination/hall-usage",
        "not_followed",
        "code",
        "Leave values out of error messages, or check them before they are written.",
    ),
    "off_limits_source": Plain(
        "{subject} uses a source that is off limits: {kind}",
        "task-instruction/non-compliance",
        "not_followed",
        "code",
        "Block the source in the tool; a prompt alone does not keep a model off it.",
    ),
    "secret_in_span": Plain(
        "{subject} records what looks like a secret: {kind}",
        "security",
        "observability",
        "config",
        "Mask the value where it is recorded, and replace the secret.",
    ),
    "written_call": Plain(
        "{subject} writes calls of tools into its answer, and nothing runs them",
        "execution-error/formatting",
        "implementation",
        "config",
        "Check that the model's template and the server's tool parser fit each other; until then"
        " let the loop read such an answer as a call, or ask again, and never show it to a user.",
        "The server does not know the form in which the model asks for tools.",
    ),
}
