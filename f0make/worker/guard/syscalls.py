"""The system calls that name files, by machine: their numbers, and where in their arguments the paths are. Pure.

Numbers: asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

from f0make.fast_dataclass import dataclass

READ, CHANGE, CREATE, MAKE_DIRECTORY = "read", "change", "create", "mkdir"
OPEN, OPEN_HOW = "open", "openat2"
BIND, CONNECT = "bind", "connect"
"""What a call does to a path: CHANGE needs it to be there. OPEN: as its flags say; OPEN_HOW: as the flags in a struct say.

BIND makes a socket, CONNECT talks to who listens at one: the path is in a struct (unix(7)).
"""


@dataclass(frozen=True, slots=True)
class Named:
    """One path that a call names: argument numbers."""

    does: str
    path: int | None
    """None: the file is named by its descriptor, ``base``. So it is where the path is empty (AT_EMPTY_PATH)."""
    base: int | None = None
    """The descriptor of the directory that a relative path starts from; None: the current directory."""
    flags: int | None = None
    """OPEN: the argument with the flags. OPEN_HOW: the one with the address of the struct."""
    follow: bool = True
    """Whether a symlink at the end of the path is followed."""
    at: int | None = None
    """The argument with flags that say otherwise (AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW)."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What must be known of one processor architecture."""

    audit: int
    """AUDIT_ARCH_… (linux/audit.h)."""
    seccomp: int
    """Number of seccomp(2)."""
    prctl: int
    """Number of prctl(2)."""
    watched: dict[int, tuple[Named, ...]]
    links: tuple[int, ...]
    """Those of them that give a file another name."""
    refused: tuple[int, ...]
    """Calls that would get around the watching: they fail with ENOSYS."""


def _entry(path: int, base: int | None = None, does: str = CHANGE, at: int | None = None) -> Named:
    """A name in a directory that is made, changed or removed itself, link or not."""
    return Named(does, path, base, follow=False, at=at)


def _open_file(does: str = CHANGE) -> Named:
    """A file that is named by its descriptor, which may have been opened for reading, or for nothing (O_PATH)."""
    return Named(does, None, 0)


_X86_64 = Machine(
    0xC000003E,
    317,
    157,
    {
        2: (Named(OPEN, 0, flags=1),),
        257: (Named(OPEN, 1, 0, 2),),
        437: (Named(OPEN_HOW, 1, 0, 2),),
        85: (Named(CREATE, 0),),  # creat
        59: (Named(READ, 0),),  # execve
        322: (Named(READ, 1, 0, at=4),),  # execveat
        76: (Named(CHANGE, 0),),  # truncate
        82: (_entry(0), _entry(1, does=CREATE)),  # rename
        264: (_entry(1, 0), _entry(3, 2, CREATE)),  # renameat
        316: (_entry(1, 0), _entry(3, 2, CREATE)),  # renameat2
        83: (_entry(0, does=MAKE_DIRECTORY),),  # mkdir
        258: (_entry(1, 0, MAKE_DIRECTORY),),  # mkdirat
        84: (_entry(0),),  # rmdir
        87: (_entry(0),),  # unlink
        263: (_entry(1, 0),),  # unlinkat
        86: (_entry(0, does=READ), _entry(1, does=CREATE)),  # link
        265: (_entry(1, 0, READ, 4), _entry(3, 2, CREATE)),  # linkat
        88: (_entry(1, does=CREATE),),  # symlink
        266: (_entry(2, 1, CREATE),),  # symlinkat
        133: (_entry(0, does=CREATE),),  # mknod
        259: (_entry(1, 0, CREATE),),  # mknodat
        90: (Named(CHANGE, 0),),  # chmod
        268: (Named(CHANGE, 1, 0),),  # fchmodat
        452: (Named(CHANGE, 1, 0, at=3),),  # fchmodat2
        92: (Named(CHANGE, 0),),  # chown
        94: (_entry(0),),  # lchown
        260: (Named(CHANGE, 1, 0, at=4),),  # fchownat
        132: (Named(CHANGE, 0),),  # utime
        235: (Named(CHANGE, 0),),  # utimes
        261: (Named(CHANGE, 1, 0),),  # futimesat
        280: (Named(CHANGE, 1, 0, at=3),),  # utimensat
        91: (_open_file(),),  # fchmod
        93: (_open_file(),),  # fchown
        188: (Named(CHANGE, 0),),  # setxattr
        189: (_entry(0),),  # lsetxattr
        190: (_open_file(),),  # fsetxattr
        197: (Named(CHANGE, 0),),  # removexattr
        198: (_entry(0),),  # lremovexattr
        199: (_open_file(),),  # fremovexattr
        463: (Named(CHANGE, 1, 0, at=2),),  # setxattrat
        466: (Named(CHANGE, 1, 0, at=2),),  # removexattrat
        469: (Named(CHANGE, 1, 0, at=4),),  # file_setattr
        49: (Named(BIND, 1, follow=False),),
        42: (Named(CONNECT, 1),),
    },
    (86, 265),
    (
        *(425, 426, 427),  # io_uring_setup, io_uring_enter, io_uring_register
        *(303, 304),  # name_to_handle_at, open_by_handle_at
        *(161, 155, 165, 166),  # chroot, pivot_root, mount, umount2
        *(
            428,
            429,
            430,
            431,
            432,
            433,
            442,
            467,
        ),  # open_tree, move_mount, fs…, mount_setattr, open_tree_attr
        *(101, 310, 311, 438),  # ptrace, process_vm_readv, process_vm_writev, pidfd_getfd
        *(308, 300),  # setns, fanotify_init
    ),
)

_AARCH64 = Machine(
    0xC00000B7,
    277,
    167,
    {
        56: _X86_64.watched[257],
        437: _X86_64.watched[437],
        221: _X86_64.watched[59],
        281: _X86_64.watched[322],
        45: _X86_64.watched[76],
        38: _X86_64.watched[264],
        276: _X86_64.watched[316],
        34: _X86_64.watched[258],
        35: _X86_64.watched[263],
        37: _X86_64.watched[265],
        36: _X86_64.watched[266],
        33: _X86_64.watched[259],
        53: _X86_64.watched[268],
        452: _X86_64.watched[452],
        54: _X86_64.watched[260],
        88: _X86_64.watched[280],
        52: _X86_64.watched[91],
        55: _X86_64.watched[93],
        5: _X86_64.watched[188],
        6: _X86_64.watched[189],
        7: _X86_64.watched[190],
        14: _X86_64.watched[197],
        15: _X86_64.watched[198],
        16: _X86_64.watched[199],
        463: _X86_64.watched[463],
        466: _X86_64.watched[466],
        469: _X86_64.watched[469],
        200: _X86_64.watched[49],
        203: _X86_64.watched[42],
    },
    (37,),
    (
        *(425, 426, 427, 264, 265),
        *(51, 41, 40, 39),
        *(428, 429, 430, 431, 432, 433, 442, 467),
        *(117, 270, 271, 438),
        *(268, 262),
    ),
)

MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}
"""By `os.uname().machine`."""
