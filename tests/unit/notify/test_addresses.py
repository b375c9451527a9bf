import pytest

from halo_daemon.notify.addresses import refusal

NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "100.100.100.200",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "255.255.255.255",
    "240.0.0.1",
    "::127.0.0.1",
    "",
    "ops.example",
    "2130706433",
]
PRIVATE = [
    "127.0.0.1",
    "127.1.2.3",
    "::1",
    "::ffff:127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "fc00::1",
    "100.64.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
]
PUBLIC = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "172.32.0.1"]


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("block_private", [False, True])
def test_some_addresses_are_never_called(address, block_private):
    """Metadata services, link-local and meaningless addresses are refused in every form."""
    assert refusal(address, block_private=block_private)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_may_be_called_unless_blocked(address):
    """Many receivers live in private networks; one switch refuses them all."""
    assert refusal(address, block_private=False) == ""
    assert refusal(address, block_private=True)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address):
    """Nothing stands in the way of an ordinary address."""
    assert refusal(address, block_private=True) == ""
