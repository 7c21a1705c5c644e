"""System calls that user code may try, and the kernel's required answer in a container.

Numbers are those of x86-64. If docker's seccomp profile refuses a call, the kernel never sees it.
"""

from __future__ import annotations

from typing import Final

Arguments = tuple[int | bytes | None, ...]

NEW_USER, NEW_NS, NEW_NET, NEW_PID = 0x10000000, 0x00020000, 0x40000000, 0x20000000
NOWHERE: Final = -1
A_BYTE: Final = (0x1000).to_bytes(8, "little") + (1).to_bytes(8, "little")
_TABLE: Final[dict[str, tuple[int, Arguments, str]]] = {
    # Another user, another group.
    "setuid": (105, (0,), "EPERM"),
    "setgid": (106, (0,), "EPERM"),
    "setreuid": (113, (0, 0), "EPERM"),
    "setregid": (114, (0, 0), "EPERM"),
    "setresuid": (117, (0, 0, 0), "EPERM"),
    "setresgid": (119, (0, 0, 0), "EPERM"),
    "setgroups": (116, (1, b"\0\0\0\0"), "EPERM"),
    "capset": (126, (b"\x22\x05\x08\x20\0\0\0\0", b"\xff" * 24), "EPERM"),
    # Another root, other mounts.
    "chroot": (161, (b"/tmp",), "EPERM"),
    "pivot_root": (155, (b"/tmp", b"/tmp"), "EPERM"),
    "mount": (165, (b"none", b"/tmp", b"tmpfs", 0, None), "EPERM"),
    "umount2": (166, (b"/tmp", 0), "EPERM"),
    "open_tree": (428, (-100, b"/tmp", 1), "EPERM"),
    "move_mount": (429, (-100, b"/tmp", -100, b"/tmp", 0), "EPERM"),
    "fsopen": (430, (b"tmpfs", 0), "EPERM"),
    "fspick": (433, (-100, b"/tmp", 0), "EPERM"),
    "mount_setattr": (442, (-100, b"/tmp", 0, None, 0), "EPERM"),
    "mknod": (133, (b"/tmp/disk", 0o60600, 254 << 8), "EPERM"),
    "mknodat": (259, (-100, b"/tmp/disk", 0o20600, 1 << 8 | 1), "EPERM"),
    "swapon": (167, (b"/tmp", 0), "EPERM"),
    "swapoff": (168, (b"/tmp",), "EPERM"),
    "quotactl": (179, (0, None, 0, None), "EPERM"),
    "open_by_handle_at": (304, (-100, None, 0), "EPERM"),
    "fanotify_init": (300, (0, 0), "EPERM"),
    # Other namespaces.
    "unshare user": (272, (NEW_USER,), "EPERM"),
    "unshare mount": (272, (NEW_NS,), "EPERM"),
    "unshare network": (272, (NEW_NET,), "EPERM"),
    "setns": (308, (NOWHERE, 0), "EPERM"),
    "clone user": (56, (NEW_USER | 17, None, None, None, 0), "EPERM"),
    "clone pid": (56, (NEW_PID | 17, None, None, None, 0), "EPERM"),
    "clone3": (435, (None, 0), "ENOSYS"),
    # Other processes.
    "ptrace": (101, (16, 1, None, None), "EPERM"),
    "process_vm_readv": (310, (1, A_BYTE, 1, A_BYTE, 1, 0), "EPERM"),
    "process_vm_writev": (311, (1, A_BYTE, 1, A_BYTE, 1, 0), "EPERM"),
    "kcmp": (312, (1, 1, 0, 0, 0), "EPERM"),
    "kill": (62, (1, 9), "EPERM"),
    "tgkill": (234, (1, 1, 9), "EPERM"),
    "pidfd_getfd": (438, (NOWHERE, 0, 0), "EPERM"),
    "process_madvise": (440, (NOWHERE, None, 0, 0, 0), "EPERM"),
    "migrate_pages": (256, (1, 0, None, None), "EPERM"),
    "move_pages": (279, (1, 0, None, None, None, 0), "EPERM"),
    # The kernel.
    "bpf": (321, (0, None, 0), "EPERM"),
    "perf_event_open": (298, (None, 0, -1, -1, 0), "EPERM"),
    "keyctl": (250, (0, -3, 0), "EPERM"),
    "add_key": (248, (b"user", b"x", b"x", 1, -3), "EPERM"),
    "request_key": (249, (b"user", b"x", None, -3), "EPERM"),
    "userfaultfd": (323, (0,), "EPERM"),
    "io_uring_setup": (425, (1, None), "EPERM"),
    "io_uring_enter": (426, (NOWHERE, 0, 0, 0, None, 0), "EPERM"),
    "io_uring_register": (427, (NOWHERE, 0, None, 0), "EPERM"),
    "init_module": (175, (None, 0, b""), "EPERM"),
    "finit_module": (313, (NOWHERE, b"", 0), "EPERM"),
    "delete_module": (176, (b"x", 0), "EPERM"),
    "kexec_load": (246, (0, 0, None, 0), "EPERM"),
    "kexec_file_load": (320, (NOWHERE, NOWHERE, 0, None, 0), "EPERM"),
    "reboot": (169, (0, 0, 0, None), "EPERM"),
    "syslog": (103, (3, None, 0), "EPERM"),
    "acct": (163, (None,), "EPERM"),
    "vhangup": (153, (), "EPERM"),
    "iopl": (172, (3,), "EPERM"),
    "ioperm": (173, (0, 1, 1), "EPERM"),
    "personality": (135, (0x0040000,), "EPERM"),
    "settimeofday": (164, (b"\0" * 16, None), "EPERM"),
    "clock_settime": (227, (0, b"\0" * 16), "EPERM"),
    "sethostname": (170, (b"x", 1), "EPERM"),
    "setdomainname": (171, (b"x", 1), "EPERM"),
    "lookup_dcookie": (212, (0, None, 0), "EPERM"),
    "mbind": (237, (None, 0, 0, None, 0, 0), "EPERM"),
    "set_mempolicy": (238, (0, None, 0), "EPERM"),
    # What a program needs: if these were refused, the table would say nothing.
    "getpid": (39, (), ""),
    "memfd_create": (319, (b"x", 0), ""),
    "pidfd_open": (434, (1, 0), ""),
}

ASKED: Final = {name: (number, arguments) for name, (number, arguments, _) in _TABLE.items()}
ANSWERS: Final = {name: answer for name, (_, _, answer) in _TABLE.items()}
