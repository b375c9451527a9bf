"""Who is told of what: the targets and the routes to them."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainSerializer, SecretStr, model_validator

from halo_daemon.config_checks import checked_secret, checked_url, is_loopback, not_blank, shown_url
from halo_daemon.config_section import Name, Section

EventKind = Literal["new", "regressed", "reopened", "resolved", "escalating", "report", "failed"]
"""What routes choose by."""


class WebhookTarget(Section):
    """A URL that takes signed JSON (Standard Webhooks)."""

    type: Literal["webhook"]
    """The kind of target."""

    url: Annotated[str, AfterValidator(checked_url), PlainSerializer(shown_url, when_used="json")]
    """Where to post; `https` unless the host is this machine or `allow_http` is set."""

    secret: Annotated[SecretStr, Field(strict=False), AfterValidator(checked_secret)]
    """The key of the signature: `whsec_` and base64 of 24 to 64 random bytes."""

    allow_http: bool = False
    """Whether `http` may be used to another machine."""

    block_private: bool = False
    """Whether private and loopback addresses are refused."""

    @model_validator(mode="after")
    def _encrypted(self) -> Self:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.allow_http and not is_loopback(parts.hostname or ""):
            raise ValueError(
                "`url` is http to another machine – write https, or `allow_http: true`"
            )
        return self


class RouteMatch(Section):
    """Which events a route takes, of those of its kinds."""

    severity: Literal["low", "medium", "high", "critical"] = "low"
    """The least severe finding that is taken; events that are not about a finding have none."""

    project: Annotated[str, AfterValidator(not_blank)] = "*"
    """The projects whose events are taken, as a pattern with `*` and `?`."""


class NotifyRoute(Section):
    """Which events go where."""

    to: tuple[str, ...] = Field(min_length=1)
    """Names of targets."""

    when: tuple[EventKind, ...] = Field(default=("new", "regressed", "reopened"), min_length=1)
    """Kinds of event: a finding that is `new`, got worse (`regressed`), came back (`reopened`),
    is gone (`resolved`) or began to rise (`escalating`); every `report`, also an empty one;
    a scheduled run that `failed`."""

    match: RouteMatch = RouteMatch()

    goes_on: bool = Field(default=False, alias="continue")
    """Whether later routes see an event that this one took."""


class NotifyConfig(Section):
    """Who is told."""

    targets: Mapping[Name, WebhookTarget] = Field(default_factory=dict)
    """Where notifications can go, by name."""

    routes: tuple[NotifyRoute, ...] = ()
    """Which events go to which targets; the first route that matches takes the event, and later
    ones see it only if that one says `continue`."""
