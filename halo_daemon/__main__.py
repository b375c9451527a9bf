"""
``halo-daemon`` and ``python -m halo_daemon``.

A process of the miner imports the main module of the process that starts it: here that
is next to nothing, because the command line is loaded when it is run.
"""


def main() -> None:
    """Run the command line; see `halo_daemon.cli.main`."""
    from halo_daemon import cli  # noqa: PLC0415 -- see the top

    cli.main()


if __name__ == "__main__":
    main()
