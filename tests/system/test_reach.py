"""Addresses that a request can make an account call: media by URL, and webhooks.

Besides the host there is a network of public addresses, with a name server and a web server. On the host itself a
server records requests, which must not come.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.system.actors import Caller, Json, Phone, Webhook, log_in, until, use_sandbox
from tests.system.host import Host

pytestmark = pytest.mark.system
# Public addresses, of this host and of the web server.
OWN, WEB = "93.184.216.1", "93.184.216.34"
NAMES = {
    "web.example": [WEB],
    "inside.example": ["127.0.0.1"],
    "link-local.example": ["169.254.169.254"],
    "own.example": [OWN],
    # Another address each time, as a malicious name server responds.
    "turning.example": [WEB, "127.0.0.1"],
    "gniting.example": ["127.0.0.1", WEB],
    "both.example": ["127.0.0.1 " + WEB],
}
NAME_SERVER = f"""
import socket, struct
names, turn = {NAMES!r}, dict[str, int]()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind(("127.0.0.1", 53))
    while True:
        question, caller = server.recvfrom(512)
        end, labels = 12, []
        while question[end]:
            labels.append(question[end + 1 : end + 1 + question[end]].decode())
            end += 1 + question[end]
        name, kind = ".".join(labels).lower(), struct.unpack(">H", question[end + 1 : end + 3])[0]
        answers = []
        if kind == 1 and name in names:
            turn[name] = turn.get(name, -1) + 1
            answers = names[name][turn[name] % len(names[name])].split()
        head = struct.pack(">2sHHHHH", question[:2], 0x8180, 1, len(answers), 0, 0)
        rows = [struct.pack(">HHHIH4s", 0xC00C, 1, 1, 0, 4, socket.inet_aton(each)) for each in answers]
        server.sendto(head + question[12 : end + 5] + b"".join(rows), caller)
"""
# Lists the requests it got at /asked; redirects to the address in the query.
WEB_SERVER = """
import http.server, json, sys, urllib.parse
asked = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path, _, query = self.path.partition("?")
        if path == "/asked":
            content, kind = json.dumps(asked).encode(), "application/json"
        else:
            asked.append(self.path)
            content, kind = b"\\x89PNG\\r\\n\\x1a\\n" + bytes(500), "image/png"
        self.send_response(302 if query else 200)
        if query:
            self.send_header("Location", urllib.parse.unquote(query))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
    def do_POST(self):
        asked.append("POST " + self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer((sys.argv[1], 8070), Handler).serve_forever()
"""


@dataclass
class World:
    host: Host
    caller: Caller
    phone: Phone

    def upload(self, url: str) -> Json:
        return self.caller.openwx("upload_media", client="reach", media_path=url)

    def asked_inside(self) -> list[str]:
        """Return the requests that the host's own server got."""
        _, _, content = self.host.http("GET", "http://127.0.0.1:8070/asked")
        return list(json.loads(content))


@pytest.fixture(scope="module")
def world(host: Host) -> Iterator[World]:
    for name, code in (("names", NAME_SERVER), ("web", WEB_SERVER)):
        host.write(f"/usr/local/lib/{name}.py", code.encode())
    commands = f"""
        ip netns add world
        ip link add far0 type veth peer name far1 netns world
        ip address add {OWN}/24 dev far0
        ip link set far0 up
        ip -n world address add {WEB}/24 dev far1
        ip -n world link set far1 up
        ip address add 169.254.169.254/32 dev lo
        rm -f /etc/resolv.conf
        echo 'nameserver 127.0.0.1' >/etc/resolv.conf
        systemd-run -q --unit=names /usr/bin/python3 /usr/local/lib/names.py
        systemd-run -q --unit=web ip netns exec world /usr/bin/python3 /usr/local/lib/web.py {WEB}
        systemd-run -q --unit=inside /usr/bin/python3 /usr/local/lib/web.py 0.0.0.0
    """
    host.run("sh", "-e", "-c", commands)
    for address in ("web.example", "inside.example", OWN):
        url = f"http://{address}:8070/asked"
        until(lambda url=url: host.run("curl", "-sf", url, check=False).returncode == 0, url)  # type: ignore[misc]
    use_sandbox(host)
    caller, phone = Caller(host), Phone(host)
    log_in(caller, phone, "reach", phone.account("Reach"))
    yield World(host, caller, phone)


@pytest.mark.parametrize("url", ["http://web.example:8070/a.png", f"http://{WEB}:8070/a.png"])
def test_public_address_is_fetched(world: World, url: str) -> None:
    assert world.upload(url)["code"] == 0


@pytest.mark.parametrize(
    "url",
    [
        *(f"http://{name}:8070/a" for name in ("inside.example", "link-local.example", "own.example", OWN)),
        *(f"http://{name}:8070/a" for name in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0")),
        *(f"http://{name}:8070/a" for name in ("2130706433", "0x7f000001", "127.1", "169.254.169.254")),
        # By a redirect.
        *(
            f"http://web.example:8070/go?http://{name}:8070/a"
            for name in ("127.0.0.1", "localhost", "inside.example", "own.example", "link-local.example", "[::1]")
        ),
        "http://web.example:8070/go?file:///etc/passwd",
    ],
)
def test_private_address_is_refused_without_a_request(world: World, url: str) -> None:
    before = world.asked_inside()
    answer = world.upload(url)
    assert (answer["code"], answer["status"]) == (-1, "invaild media_path")
    assert "private network" in answer["reason"] or "only http" in answer["reason"]
    assert world.asked_inside() == before


@pytest.mark.parametrize("name", ["turning.example", "gniting.example", "both.example"])
def test_name_with_changing_addresses_leads_to_no_private_one(world: World, name: str) -> None:
    before, codes = world.asked_inside(), set()
    for number in range(10):
        way = "a" if number % 2 else f"go?http://{name}:8070/again"
        codes.add(world.upload(f"http://{name}:8070/{way}")["code"])
    assert 0 in codes  # some requests reached the web server
    assert world.asked_inside() == before


def test_webhooks_outside_of_webhook_targets_are_refused(world: World) -> None:
    host, caller = world.host, world.caller
    place = "/etc/wxcontroller/wxcontroller.toml.d/targets.toml"
    with Webhook(host) as hook:
        host.write(place, f'webhook_targets = ["http://127.0.0.1:{hook.port}/"]\n'.encode())
        host.run("systemctl", "reload", "wxcontroller")
        # Existing accounts get it, too, for starts without the controller.
        assert b"WXCLIENT_WEBHOOK_TARGETS" in host.read("/var/lib/wxcontroller/clients/reach.env")
        refused = caller.openwx("start_client", client="told", post_api="http://web.example:8070/hook")
        assert refused["code"] == 6
        assert "webhook_targets" in refused["status"]
        assert host.run("test", "-e", "/var/lib/wxcontroller/clients/told.env", check=False).returncode == 1
        answer = caller.openwx("start_client", client="told", post_api=hook.address)
        assert answer["code"] == 0, answer
        hook.wait_for(lambda report: report.get("event") == "state_change")
        # The account itself does not post to another address from the administrator's file.
        host.write(
            "/etc/wxcontroller/clients/told.env", f'MOJO_WEIXIN_POST_API="http://{WEB}:8070/hook"\n'.encode(), 0o640
        )
        host.run("systemctl", "restart", "wxclient@told")
        until(lambda: "webhook_targets" in caller.account("told")["reports"]["last_error"], "a word of it")
    asked = f"http://{WEB}:8070/asked"
    assert "POST" not in host.text("curl", "-s", asked)
    host.run("curl", "-s", "-d", "x", f"http://{WEB}:8070/hook")
    assert "POST /hook" in host.text("curl", "-s", asked)  # the server does record posts
    host.run("rm", place, "/etc/wxcontroller/clients/told.env")
    host.run("systemctl", "reload", "wxcontroller")
    assert caller.openwx("stop_client", client="told")["code"] == 0
