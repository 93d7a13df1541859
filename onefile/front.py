# ruff: noqa: UP031
"""The `__main__` of the zipapp: goes straight to f0make once it is unpacked; the first start is unpack.py's.

Every Python since 2.7 must understand this file: it says which one is needed. The build fills in the
words between @ signs.
"""

import os
import sys

BUILT_FOR = "@BUILT_FOR@"
LIBC = "@LIBC@"  # the oldest GNU libc that its extension modules can use
BUILD = "@BUILD@"
ENTRY = "@ENTRY@"


def here():
    """This interpreter as BUILT_FOR names one: extension modules fit no other."""
    implementation = getattr(sys, "implementation", None)
    system = getattr(implementation, "_multiarch", sys.platform)
    machine = os.uname()[4] if hasattr(os, "uname") else "unknown"
    return "%s %d.%d%s on %s" % (
        getattr(implementation, "name", "python"),
        sys.version_info[0],
        sys.version_info[1],
        "t" if "t" in getattr(sys, "abiflags", "") else "",
        system if machine in system else machine + " " + system,
    )


def refusal():
    """Why it cannot run here, None if it can."""
    if here() != BUILT_FOR:
        return "this file is for %s, and here is %s: use that Python, or another build" % (
            BUILT_FOR,
            here(),
        )
    libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()[1:] if LIBC else []
    if libc and [int(part) for part in libc[0].split(".")] < [int(part) for part in LIBC.split(".")]:
        return "this file needs GNU libc %s or newer, and here is %s: use a build of an older system" % (
            LIBC,
            libc[0],
        )
    return None


def stranger(*directories):
    """Which of ``directories`` another user made (but root), None if none: what lies there would run as this user."""
    if not hasattr(os, "geteuid"):
        return None
    for directory in directories:
        try:
            owner = os.stat(directory).st_uid
        except OSError:
            continue
        if owner not in (0, os.geteuid()):
            return directory
    return None


def refuse(directory):
    """End with one line about the directory of a ``stranger``."""
    sys.stderr.write(
        "f0make: %s belongs to another user: set SHIV_ROOT to a directory of your own\n" % directory
    )
    sys.exit(2)


def find():
    """The directory of the unpacked packages; unpacks them if they are not there. Hides shiv's variables."""
    archive = __loader__.archive
    root = os.environ.get("SHIV_ROOT") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "f0make"
    )
    root = os.path.abspath(os.path.expanduser(root))
    target = os.path.join(root, os.path.basename(os.path.realpath(archive)) + "_" + BUILD)
    packages = os.path.join(target, "site-packages")
    theirs = stranger(root, target, packages)
    if theirs:
        refuse(theirs)
    asked = [name for name in os.environ if name.startswith("SHIV_")]
    if not os.path.isdir(packages) or len(asked) > ("SHIV_ROOT" in asked):
        import unpack

        unpack.unpack(archive, root, target)
        theirs = stranger(target, packages)  # somebody may have been quicker
        if theirs:
            refuse(theirs)
    for name in asked:
        os.environ.pop(name, None)
    return packages


def main():
    """Find the packages and run f0make; returns its exit code."""
    packages = find()
    sys.path[0] = packages
    sys.dont_write_bytecode = False  # The directory is its own; what it imports there is compiled once.
    import f0make

    f0make.unpacked = packages
    module, function = ENTRY.split(":")
    return getattr(__import__(module, None, None, [function]), function)()


if __name__ == "__main__":
    why = refusal()
    if why:
        sys.stderr.write("f0make: " + why + "\n")
        sys.exit(2)
    try:
        code = main()
    except KeyboardInterrupt:  # before f0make had an answer to it
        code = 130
    sys.exit(code)
