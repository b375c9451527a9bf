"""The C library's allocator and the garbage collector, told what work through spans is like."""

import gc
import sys

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_KEPT_BYTES = 64 * 1024**2
_TOP_PAD_BYTES = 1024**2
# The most that glibc takes on 64-bit machines.
_MMAP_FROM_BYTES = 32 * 1024**2
# One for the loop's thread, one for all others: what each arena keeps for itself nobody
# else can use, and threads that hold the interpreter's lock seldom meet in the allocator.
_ARENAS = 2
# A request of usual size, a trace that is read and examined, and a thousand lines that are
# taken into an index make some thousand objects each that live as long as it, none in a cycle.
_YOUNG_OBJECTS = 20_000


def keep_freed_memory() -> bool:
    """
    Let glibc keep up to 64 MiB of freed memory for the next request.

    Every request needs about a megabyte and gives it back. By default glibc
    returns it to the system each time, and the page faults of getting it again
    cost a tenth of the throughput.

    Returns:
        Whether it was done; not on other C libraries, which need no telling.
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes  # noqa: PLC0415 -- only the receiver needs it

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = (
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
        (_M_MMAP_THRESHOLD, _MMAP_FROM_BYTES),
        (_M_TOP_PAD, _TOP_PAD_BYTES),
        (_M_ARENA_MAX, _ARENAS),
    )
    return all(mallopt(name, value) == 1 for name, value in settings)


def collect_seldom() -> None:
    """
    Look for cycles among young objects once in 20,000 new ones, not in 700.

    What works through spans makes objects by the thousand and none in a cycle: rounds
    that find nothing are 3 to 6 % of an analysis and of building an index.
    """
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])


def leave_start_up_to_itself() -> None:
    """
    Take all objects that exist now out of the rounds of the garbage collector.

    Modules and settings live as long as the process; looking at them again takes a
    tenth of a second, in which no request is answered.
    """
    gc.collect()
    gc.freeze()
    collect_seldom()
