"""``python -m halo_daemon``."""

from halo_daemon.cli import main

if __name__ == "__main__":
    main()
