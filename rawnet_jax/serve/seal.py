"""Takes from a process all that decoding does not need, for good.

Limits are those of POSIX and hold on every system that has them. On Linux there are two more: no
new privileges, and a filter of system calls (seccomp, mode 2) written here as a program for the
kernel's packet filter, for x86-64 and ARM64. It is a list of what is allowed; everything else is
answered with "not permitted": opening files, sockets, starting programs and threads, signals to
others.
"""

import ctypes
import platform
import resource
import struct
import sys

_NO_NEW_PRIVILEGES, _SET_SECCOMP = 38, 22  # of prctl(2)
_MODE_FILTER = 2
_ARCH_AT, _NUMBER_AT = 4, 0  # of struct seccomp_data
_LOAD, _EQUAL, _NOT_BELOW, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, …
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # the second is errno 1, EPERM
_X32 = 0x40000000  # numbers of another calling convention of x86-64

# Numbers of system calls: what an interpreter does that reads a pipe, computes and writes a pipe.
_CALLS = {
    "x86_64": (
        0xC000003E,
        {
            "read": 0,
            "write": 1,
            "close": 3,
            "fstat": 5,
            "poll": 7,
            "lseek": 8,
            "mmap": 9,
            "mprotect": 10,
            "munmap": 11,
            "brk": 12,
            "rt_sigaction": 13,
            "rt_sigprocmask": 14,
            "rt_sigreturn": 15,
            "readv": 19,
            "writev": 20,
            "sched_yield": 24,
            "mremap": 25,
            "madvise": 28,
            "getpid": 39,
            "exit": 60,
            "gettimeofday": 96,
            "getrusage": 98,
            "setitimer": 38,
            "sigaltstack": 131,
            "gettid": 186,
            "futex": 202,
            "restart_syscall": 219,
            "clock_gettime": 228,
            "clock_getres": 229,
            "exit_group": 231,
            "getrandom": 318,
            "rseq": 334,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "read": 63,
            "write": 64,
            "close": 57,
            "fstat": 80,
            "ppoll": 73,
            "lseek": 62,
            "mmap": 222,
            "mprotect": 226,
            "munmap": 215,
            "brk": 214,
            "rt_sigaction": 134,
            "rt_sigprocmask": 135,
            "rt_sigreturn": 139,
            "readv": 65,
            "writev": 66,
            "sched_yield": 124,
            "mremap": 216,
            "madvise": 233,
            "getpid": 172,
            "exit": 93,
            "gettimeofday": 169,
            "getrusage": 165,
            "setitimer": 103,
            "sigaltstack": 132,
            "gettid": 178,
            "futex": 98,
            "restart_syscall": 128,
            "clock_gettime": 113,
            "clock_getres": 114,
            "exit_group": 94,
            "getrandom": 278,
            "rseq": 293,
        },
    ),
}


def limit(memory_bytes: int, cpu_s: int, file_bytes: int, num_files: int | None) -> None:
    """Bound what this process and its children may take; none of it can be raised again.

    Args:
        memory_bytes: of address space.
        cpu_s: of CPU time, in the life of the process.
        file_bytes: of any file that it writes.
        num_files: that it may have open; None = as before.
    """
    bounds = {
        "RLIMIT_AS": memory_bytes,
        "RLIMIT_CPU": cpu_s,
        "RLIMIT_FSIZE": file_bytes,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": num_files,
    }
    for name, most in bounds.items():
        kind = getattr(resource, name, None)
        if kind is not None and most is not None:
            resource.setrlimit(kind, (most, most))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def can_seal() -> bool:
    """Return whether `seal` has a filter for this system."""
    return sys.platform == "linux" and platform.machine() in _CALLS


def seal() -> bool:
    """Allow this process nothing but to compute, to read and write what is open, and to end.

    Call it in a process with one thread, after `limit`: other threads would stay as they are.

    Returns:
        Whether the filter holds; False where the system has none.
    """
    if not can_seal():
        return False
    program = _filter(*_CALLS[platform.machine()])
    libc = ctypes.CDLL(None, use_errno=True)
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    # The first argument of prctl is an int, the others are unsigned long.
    arguments = [ctypes.c_ulong(_MODE_FILTER), ctypes.c_char_p(header), *[ctypes.c_ulong(0)] * 2]
    return libc.prctl(_SET_SECCOMP, *arguments) == 0


def _filter(arch: int, calls: dict[str, int]) -> bytes:
    """Return the program: 8 bytes an instruction, see linux/filter.h."""
    numbers = sorted(calls.values())
    after = len(numbers)
    lines = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_NOT_BELOW, after, 0, _X32),
        # Jumps go over the tests that are left and the line that refuses.
        *((_EQUAL, after - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *line) for line in lines)
