"""One module per kind of target."""

from collections.abc import Callable, Mapping

from halo_daemon.config_notify import WebhookTarget
from halo_daemon.notify.message import Notifier
from halo_daemon.notify.targets.webhook import Webhook

__all__ = ["notifiers_of"]


def notifiers_of(
    targets: Mapping[str, WebhookTarget], *, now_unix_ns: Callable[[], int]
) -> dict[str, Notifier]:
    """A notifier for each configured target, by name."""
    return {name: Webhook(settings, now_unix_ns=now_unix_ns) for name, settings in targets.items()}
