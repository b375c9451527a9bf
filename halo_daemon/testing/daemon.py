"""A real daemon as a child process."""

from halo_daemon.cli.daemon_process import DaemonProcess

__all__ = ["DaemonProcess"]
