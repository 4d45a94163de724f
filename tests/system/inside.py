"""Takes the place of a service's program and evaluates Python expressions inside its sandbox.

Tests copy this file into the booted host and put it under a unit by a drop-in. It serves on the unit's own port: a
POST has a list of expressions and the names they use, and the response has their outcomes. As a command it reads the
same from standard input: ``outside``, for comparison without a sandbox, or ``piped``, in a unit without a port.
Standard library only.
"""

import ctypes
import errno
import http.client
import http.server
import json
import mmap
import os
import platform
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
# On amd64 and arm64.
NUMBERS = {
    "bpf": (321, 280),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "process_vm_readv": (310, 270),
    "reboot": (169, 142),
    "userfaultfd": (323, 282),
}


class Refused(Exception):
    """An HTTP status or a D-Bus error; the text names it."""


def libc(name: str, *arguments: Any) -> int:
    result: int = getattr(LIBC, name)(
        *(argument.encode() if isinstance(argument, str) else argument for argument in arguments)
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def syscall(name: str, *arguments: Any) -> int:
    number = NUMBERS[name][platform.machine() != "x86_64"]
    words = (ctypes.c_long(each) if isinstance(each, int) else each for each in (number, *arguments))
    return libc("syscall", *words)


def read(path: str) -> None:
    with Path(path).open("rb") as stream:
        stream.read(16)


def write(path: str, content: bytes = b"\n") -> None:
    os.write(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), content)


def made(path: str, content: bytes = b"") -> str:
    """Create an executable file and return its path."""
    Path(path).write_bytes(content)
    Path(path).chmod(0o755)
    return path


def run(*command: str) -> list[Any]:
    """Return exit status and output of a program."""
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    return [done.returncode, (done.stdout + done.stderr).decode(errors="replace")]


def spawn(path: str, *arguments: str) -> int:
    """Run a program and return its exit status."""
    quiet = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_WRONLY, 0) for number in (1, 2)]
    return os.waitpid(os.posix_spawn(path, [path, *arguments], {}, file_actions=quiet), 0)[1]


def in_memory(program: str) -> str:
    memory = os.memfd_create("program", 0)
    os.write(memory, Path(program).read_bytes())
    return f"/proc/self/fd/{memory}"


def run_by_loader(program: str) -> None:
    """Have the dynamic loader, which may be executed, start a program that may not."""
    [loader] = map(str, Path("/usr/lib").glob("*/ld-linux*.so.?"))
    if spawn(loader, program):
        raise PermissionError(errno.EACCES, program)


def peek(pid: int) -> None:
    """Read a process's memory at address 0, which has none: EFAULT to those who may read it."""
    into = ctypes.create_string_buffer(8)
    ours, theirs = struct.pack("@PN", ctypes.addressof(into), 8), struct.pack("@PN", 0, 8)
    syscall("process_vm_readv", pid, ours, 1, theirs, 1, 0)


def bind(address: str, port: int, kind: int = socket.SOCK_STREAM) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as made:
        made.bind((address, port))


def connect(address: str, port: int) -> None:
    socket.create_connection((address, port), timeout=1).close()


def send(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(b"x", (address, port))


def connect_unix(path: str) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as made:
            try:
                made.connect(path)
                return
            except OSError as problem:
                if problem.errno != errno.EPROTOTYPE:
                    raise


def get(port: int, path: str, **headers: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    if (status := connection.getresponse().status) != http.HTTPStatus.OK:
        raise Refused(f"HTTP {status}")


def bus(service: str, interface: str, method: str, types: str, *arguments: Any) -> None:
    """Call a method of org.freedesktop.SERVICE on the system bus."""
    library = ctypes.CDLL("libsystemd.so.0")
    system, error = ctypes.c_void_p(), (ctypes.c_char_p * 3)()
    if (result := library.sd_bus_open_system(ctypes.byref(system))) < 0:
        raise OSError(-result, "the system bus")
    name = f"org.freedesktop.{service}"
    words = (name, f"/{name.replace('.', '/')}", name + interface, method)
    encoded = [word.encode() if isinstance(word, str) else word for word in (*words, error, None, types, *arguments)]
    if library.sd_bus_call_method(system, *encoded) < 0:
        raise Refused((error[0] or b"").decode())


def writable() -> list[str]:
    """Return all directories and files that can be written, by trying each."""
    found = []
    for directory, names, files in os.walk("/"):
        if directory.startswith("/proc/"):
            names.clear()
            continue
        own = Path(directory) / ".intruder"
        try:
            own.touch()
            own.unlink()
            found.append(directory)
        except OSError:
            pass
        for path in (Path(directory) / name for name in files):
            try:
                if not path.is_symlink():
                    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY))
                    found.append(str(path))
            except OSError:
                pass
    return sorted(found)


def evaluated(expression: str, names: dict[str, Any]) -> dict[str, Any]:
    """Return the value of an expression, if JSON has it, or the name of the error that it raised."""
    try:
        value = eval(expression, {**globals(), **names})
    except TimeoutError:
        return {"error": "ETIMEDOUT"}
    except OSError as problem:
        return {"error": errno.errorcode.get(problem.errno or 0, repr(problem))}
    except Refused as problem:
        return {"error": str(problem)}
    except BaseException as problem:
        return {"error": repr(problem)}
    return {"value": value if isinstance(value, str | int | list | dict) else None}


def in_a_process(expression: str, names: dict[str, Any], fresh: str = "") -> Any:
    """Evaluate in a child: some expressions change or end their process. ``fresh``: a directory to empty before."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(60)
        try:
            if fresh:
                os.unshare(os.CLONE_NEWNS)  # type: ignore[attr-defined]  # Python 3.12
                shutil.rmtree(fresh, ignore_errors=True)
                Path(fresh).mkdir()
            os.write(writing, json.dumps(evaluated(expression, names)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as stream:  # noqa: PTH123 - a descriptor
        content = stream.read()
    _, status = os.waitpid(child, 0)
    return json.loads(content) if content else {"error": f"killed by {signal.Signals(status & 0x7F).name}"}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = json.dumps(
            [in_a_process(expression, order["names"]) for expression in order["expressions"]]
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    if sys.argv[1:]:
        order = json.load(sys.stdin)
        fresh = order["names"]["own"] if sys.argv[1:] == ["outside"] else ""
        found = [in_a_process(expression, order["names"], fresh) for expression in order["expressions"]]
        sys.stdout.write(json.dumps(found))
        return
    if os.environ.get("LISTEN_FDS"):
        listener = socket.socket(fileno=3)
        os.set_inheritable(3, False)
    else:
        listener = socket.create_server(("127.0.0.1", int(os.environ["MOJO_WEIXIN_PLUGIN_OPENWX_PORT"])))
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket = listener
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    server.serve_forever()


# Expressions use these modules.
MODULES = (mmap, resource, stat)

if __name__ == "__main__":
    main()
