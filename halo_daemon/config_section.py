"""What every section of the configuration is: a frozen value whose unknown keys are errors."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from halo_daemon.config_checks import checked_name

Name = Annotated[str, AfterValidator(checked_name)]
"""What targets and schedule entries are called."""


class Section(BaseModel):
    """One mapping of the file; every field has a unit, a default and a sentence."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
    )
