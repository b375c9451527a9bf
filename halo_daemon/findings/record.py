"""What every part of the record has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """
    A frozen part of a report.

    Unknown fields are ignored on reading, so that an older reader takes a newer
    report; what is written has every field of its schema.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
        ser_json_inf_nan="null",
    )


Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A rate, a probability or a confidence, from 0 to 1."""

Count = Annotated[int, Field(ge=0)]
"""How many; never negative."""

Interval = tuple[float, float]
"""A 95 % interval, lower bound first."""

Instant = str
"""A time in UTC as ``YYYY-MM-DDThh:mm:ss.nnnnnnnnnZ``."""
