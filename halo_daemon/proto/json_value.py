"""The type of what JSON can say, for the borders where JSON comes in."""

from collections.abc import Mapping

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
"""Any JSON value; integers are exact, floats are finite."""

JsonObject = dict[str, JsonValue]
"""A JSON object."""

Attributes = Mapping[str, JsonValue]
"""Attributes by key, in order of arrival; read only."""
