"""Tunes glibc's malloc: one arena is enough here, and large blocks go back to the system."""

import ctypes
from contextlib import suppress

M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""From glibc's malloc.h."""

LARGE = 128 * 1024
"""Bytes from which a block is mapped alone, so that it goes back to the system when it is freed.
glibc begins with this number too, but unless it is set, it grows with every larger block."""


def use_one_arena() -> None:
    """Let all threads allocate from one arena, which keeps no large blocks.

    Each arena keeps what a large notification left in it, and such a notification passes through
    several threads: in a storm of bodies of 10 MB that adds 18 MiB. Nothing is lost: the
    interpreter's lock lets one thread allocate at a time anyway.
    """
    with suppress(AttributeError):  # musl has no arenas
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, 1)
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
