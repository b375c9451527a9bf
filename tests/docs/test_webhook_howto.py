"""The page about webhooks says what the code does."""

import re
from pathlib import Path

import pytest

from halo_daemon.config_checks import signing_key
from halo_daemon.config_file import load
from halo_daemon.notify.courier import RETRY_DELAYS_S
from halo_daemon.notify.targets.webhook import signature
from halo_daemon.quantities import format_duration

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "get-told-by-webhook.md").read_text(
    encoding="utf-8"
)
SECRET = "whsec_" + "MDEy" * 8


def _block(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_configuration_of_the_page_loads(tmp_path):
    """The example can be copied as it stands."""
    path = tmp_path / "halo.yaml"
    path.write_text(_block("yaml"), encoding="utf-8")

    config = load(path, {"HOME": str(tmp_path), "HALO_WEBHOOK_SECRET": SECRET})

    assert config.notify.routes[0].to == ("ops",)


@pytest.mark.parametrize(("body", "is_genuine"), [(b'{"a": 1}', True), (b'{"a": 2}', False)])
def test_the_code_of_the_page_verifies_deliveries(body, is_genuine):
    """What we sign is genuine to the example, and nothing else is."""
    sent = signature(signing_key(SECRET), message_id="msg_1", timestamp=7, body=b'{"a": 1}')
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "7", "webhook-signature": sent}
    scope: dict[str, object] = {}

    exec(_block("python"), scope)

    check = scope["is_genuine"]
    assert callable(check)
    assert check(SECRET, headers, body) is is_genuine


def test_the_page_names_every_pause():
    """The retry schedule of the page is the one that runs."""
    pauses = [
        re.sub(r"([0-9]+)([a-z]+)", r"\1 \2", format_duration(delay_s))
        for delay_s in RETRY_DELAYS_S
    ]

    listed = ", ".join(pauses[:-1]).replace(" m,", " min,") + f" and {pauses[-1]}"
    assert f"at once, then after {listed}." in PAGE
