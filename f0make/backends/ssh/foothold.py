"""The text that a host's python3 is given first: it finds a place that nobody else can touch, and starts the agent there.

It is read by versions as old as 2.7, so that those can say what they are. The agent's code is executed from the very
bytes that were verified: whoever might replace the copy in `workdir` would replace a file that nobody looks at again.
"""

from __future__ import annotations

STAGE = r"""
import errno, hashlib, json, os, stat, sys
class Unsafe(Exception):
    pass
def say(mark, **about):
    os.write(1, ("\n%s %s\n" % (mark, json.dumps(about))).encode("ascii"))
def shared(st):
    if not st.st_mode & 0o022 or st.st_mode & stat.S_ISVTX:
        return False
    if st.st_mode & 0o002:
        return True
    import grp, pwd
    try:
        name, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(st.st_gid)
    except KeyError:
        return True
    return group.gr_name != name or bool(set(group.gr_mem) - set([name]))
def settle(path):
    me, at, left, links = os.geteuid(), "/", path.split("/")[::-1], 0
    while left:
        name = left.pop()
        if name in ("", "."):
            continue
        if name == "..":
            at = os.path.dirname(at)
            continue
        full = os.path.join(at, name)
        try:
            st = os.lstat(full)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            try:
                os.mkdir(full, 0o700)
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
            st = os.lstat(full)
        if st.st_uid not in (0, me):
            raise Unsafe(full, "belongs to another user")
        if stat.S_ISLNK(st.st_mode):
            links += 1
            text = os.readlink(full)
            if links > 40:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), full)
            at = "/" if text.startswith("/") else at
            left += text.split("/")[::-1]
        elif not stat.S_ISDIR(st.st_mode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), full)
        elif shared(st):
            raise Unsafe(full, "can be written to by other users")
        else:
            at = full
    return at
def fetch(mark, path, digest, size):
    data = b""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        fd = -1
    if fd >= 0:
        with os.fdopen(fd, "rb") as file:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                data = file.read(size + 1)
    if hashlib.sha256(data).hexdigest() == digest:
        os.utime(path)
        return data
    say(mark, state="send")
    parts = []
    while size:
        part = os.read(0, min(size, 65536))
        if not part:
            os._exit(1)
        parts.append(part)
        size -= len(part)
    data = b"".join(parts)
    if hashlib.sha256(data).hexdigest() != digest:
        return None
    aside = "%s.%d" % (path, os.getpid())
    with open(aside, "wb") as file:
        file.write(data)
    os.replace(aside, path)
    return data
def importable(path, data):
    import importlib.machinery, importlib.util, io, zipfile
    archive = zipfile.ZipFile(io.BytesIO(data))
    names = dict((name, None) for name in archive.namelist())
    class Loader:
        def __init__(self, name):
            self.name = name
        def create_module(self, spec):
            return None
        def verified(self):
            return archive
        def get_source(self, name):
            return archive.read(self.name).decode("utf-8")
        def get_code(self, name):
            return compile(archive.read(self.name), path + "/" + self.name, "exec", dont_inherit=True)
        def exec_module(self, module):
            exec(self.get_code(module.__name__), module.__dict__)
    class Finder:
        def __init__(self, below):
            self.below = below
        def find_spec(self, name, target=None):
            tail = self.below + name.rpartition(".")[2]
            for inside in (tail + "/__init__.py", tail + ".py"):
                if inside in names:
                    package = inside.endswith("/__init__.py")
                    spec = importlib.util.spec_from_loader(
                        name, Loader(inside), origin=path + "/" + inside, is_package=package
                    )
                    spec.has_location = True
                    if package:
                        spec.submodule_search_locations = [path + "/" + tail]
                    return spec
            if tail + "/" in names:
                spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
                spec.submodule_search_locations = [path + "/" + tail]
                return spec
            return None
    def hook(entry):
        if entry == path:
            return Finder("")
        if entry.startswith(path + "/"):
            return Finder(entry[len(path) + 1:] + "/")
        raise ImportError(entry)
    sys.path_hooks.insert(0, hook)
    sys.path.insert(0, path)
def as_usual():
    import site
    own = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.isabs(entry)]
    sys.path[1:1] = own
    home = site.getusersitepackages()
    if not os.environ.get("PYTHONNOUSERSITE") and os.path.isdir(home):
        site.addsitedir(home)
def load(mark, workdir, digest, size):
    version = "%d.%d.%d" % tuple(sys.version_info[:3])
    if sys.version_info < (3, 9):
        return say(mark, state="old", python=version)
    mask = os.umask(0o077)
    workdir = os.path.join(os.path.expanduser("~"), os.path.expanduser(workdir))
    try:
        os.chdir("/")
        workdir = settle(workdir)
        for name in ("cache", "run", "agent"):
            directory = settle(os.path.join(workdir, name))
        path = os.path.join(directory, digest + ".zip")
        data = fetch(mark, path, digest, size)
        if data is None:
            return say(mark, state="broken", path=path)
        room = os.statvfs(workdir)
        if room.f_bavail * room.f_frsize < 1 << 16:
            raise OSError(28, os.strerror(28), workdir)
        with open("%s.%d" % (path, os.getpid()), "wb") as file:
            file.write(b"0" * 4096)
        os.unlink(file.name)
    except Unsafe as error:
        return say(mark, state="unsafe", path=error.args[0], reason=error.args[1])
    except OSError as error:
        try:
            os.unlink("%s.%d" % (path, os.getpid()))
        except (OSError, NameError):
            pass
        full = error.errno in (28, 122)
        return say(mark, state="full" if full else "unusable", path=workdir, reason=error.strerror)
    os.umask(mask)
    sys.dont_write_bytecode = True
    sys.argv[1:] = []
    importable(path, data)
    say(mark, state="ready", python=version)
    from f0make.worker.agent import agent_main
    as_usual()
    os._exit(agent_main.main(workdir))
load(**json.loads(base64.b64decode(sys.argv[2]).decode("ascii")))
"""
