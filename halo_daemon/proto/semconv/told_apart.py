"""
Messages that an exporter flattens in part, completed from the whole that it sends beside.

OpenInference for LangChain.js writes roles and plain texts, and leaves out the calls that a
model asks for, the ids that answers name, and texts that stand among blocks. All of it is in
`input.value` and `output.value`.
"""

from typing import Final

from halo_daemon.proto.json_value import JsonObject
from halo_daemon.proto.semconv.message_keys import write_messages
from halo_daemon.proto.semconv.messages import messages_of
from halo_daemon.proto.semconv.targets import (
    INPUT_MESSAGES,
    INPUT_VALUE,
    OUTPUT_MESSAGES,
    OUTPUT_VALUE,
)

_SCOPES: Final = ("@arizeai/openinference-instrumentation-langchain",)
_SIDES: Final = (
    (INPUT_MESSAGES, INPUT_VALUE, "user"),
    (OUTPUT_MESSAGES, OUTPUT_VALUE, "assistant"),
)
_CONTENTS: Final = ".message.contents."


def leaves_out(scope_name: str) -> bool:
    """Whether spans of that scope may hold less of a message than is sent beside it."""
    return scope_name.startswith(_SCOPES)


def complete_messages(attributes: JsonObject) -> None:
    """
    Add to the messages of a model call what only the whole beside them tells.

    What was sent stays as it is; nothing is added where the whole has other messages.
    """
    for prefix, whole, role in _SIDES:
        told: JsonObject = {}
        messages = messages_of(attributes.get(whole), role)
        write_messages(told, prefix, [*messages])
        stems = [f"{prefix}.{place}" for place in range(len(messages))]
        roles = [f"{stem}.message.role" for stem in stems]
        if any(attributes.get(key) != told.get(key) for key in roles):
            continue
        has_text = {stem for stem in stems if f"{stem}.message.content" in attributes}
        for key, value in told.items():
            if _CONTENTS not in key or key.partition(_CONTENTS)[0] not in has_text:
                attributes.setdefault(key, value)
