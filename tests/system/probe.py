"""Takes the place of a service's program, inside its sandbox, and tells what can be done from there.

Tests copy this file into the booted host and put it under a unit by a drop-in; it then serves orders on the
unit's own port (the activated socket, or the account's). Standard library only.
"""

import errno
import http.server
import json
import os
import socket
import subprocess
from pathlib import Path


def obey(order: dict[str, object]) -> object:
    """Do one thing and return what came of it; an OSError becomes its symbolic name."""
    target = order.get("target")
    try:
        match order["do"]:
            case "ids":
                return [os.getuid(), os.getgid()]
            case "environment":
                return dict(os.environ)
            case "read":
                return Path(str(target)).read_text()
            case "list":
                return sorted(entry.name for entry in Path(str(target)).iterdir())
            case "write":
                Path(str(target)).write_text("written by the probe")
                return "ok"
            case "symlink":
                Path(str(target)).symlink_to("/run/systemd/inaccessible/fifo")
                return "ok"
            case "fifo":
                os.mkfifo(str(target))
                return "ok"
            case "run":
                argv = [str(part) for part in target] if isinstance(target, list) else []
                done = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
                return [done.returncode, (done.stdout + done.stderr).decode()]
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as problem:
        return errno.errorcode.get(problem.errno or 0, repr(problem))
    return "what?"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = json.dumps(obey(json.loads(body))).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    """Serve orders until killed."""
    if os.environ.get("LISTEN_FDS"):
        listener = socket.socket(fileno=3)
    else:
        listener = socket.create_server(("127.0.0.1", int(os.environ["MOJO_WEIXIN_PLUGIN_OPENWX_PORT"])))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket = listener
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    server.serve_forever()


if __name__ == "__main__":
    main()
