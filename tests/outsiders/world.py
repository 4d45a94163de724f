"""The booted host, and the programs in its network."""

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.outsiders.judged import Belief, Bilingual, Row, Run
from tests.patience import until
from tests.programs import fetched, program
from tests.system.actors import CONTROLLER, SANDBOX, SANDBOX_SETTINGS, Caller, Json, Phone, Webhook, log_in, token
from tests.system.host import Host
from tests.thirdparty import test_agents as agents
from tests.thirdparty import test_clients as bots
from tests.thirdparty import test_generators as generators
from tests.thirdparty.stage import Stage
from tests.thirdparty.test_mcp import agent as mcp_client
from tests.thirdparty.test_standard_webhooks import WHSEC
from wxcontroller.core.jsontypes import JsonObject, JsonValue

SENT = ("delivered", "accepted", "waiting", "sending")
ROUTES = {"alice": "web", "carol": "web", "dave": "web", "bob": "ilink"}
_SETTINGS = f'ilink_serve = true\nmcp_serve = true\n[client]\nserver = "{SANDBOX}"\n'
_SANDBOX_OPTIONS = "--accounts=0 --tls-listen=127.0.0.1:443 --tls-dir=/var/lib/wxcontroller-sandbox"


def prepare(host: Host) -> None:
    """Start the sandbox, also with WeChat's names, and let accounts use it. All other settings are the package's."""
    host.write("/etc/default/wxcontroller-sandbox", f'WXSANDBOX_OPTS="{_SANDBOX_OPTIONS}"\n'.encode())
    host.write(SANDBOX_SETTINGS, _SETTINGS.encode())
    host.write("/etc/wxcontroller/clients/carol.env", f"WXCLIENT_WEBHOOK_SECRET={WHSEC}\n".encode())
    host.run("systemctl", "enable", "--now", "wxcontroller-sandbox.service")
    host.run("systemctl", "reload", "wxcontroller.service")


@dataclass
class Person:
    """The person who writes to the iLink account; ``before`` answers are those to earlier agents."""

    phone: Phone
    uin: str
    before: int = 0
    route: str = "ilink"

    async def receive(self, **message: Json) -> Json:
        body = {"to": "clawbot", **message}
        return await asyncio.to_thread(self.phone.call, "POST", f"/accounts/{self.uin}/phone-send", body)

    async def sent(self) -> list[Json]:
        found: list[Json] = await asyncio.to_thread(self.phone.call, "GET", f"/accounts/{self.uin}/ilink/sent")
        return found[self.before :]

    async def until_sent(self, number: int) -> Json:
        return (await until(self.sent, lambda sent: len(sent) >= number))[number - 1]


def content(message: Json) -> str:
    return str(message["name"] or message["text"])


class World:
    """Accounts of a host, targets for notifications and tokens; ``url`` is the controller's."""

    url, address = CONTROLLER, CONTROLLER.removeprefix("http://")
    without_media = agents.WITHOUT_MEDIA

    def __init__(self, host: Host, stage: Stage, hook: Webhook) -> None:
        self.host, self.stage, self.hook = host, stage, hook
        self.phone, self.caller = Phone(host), Caller(host, token(host, "tests"))
        self.tokens = {scope: token(host, f"for-{scope}", scope) for scope in ("send", "control")}
        self.uins: dict[str, str] = {}
        for name, route in ROUTES.items():
            self.uins[name] = self.phone.account(name)
            options = {"post_api": hook.address} if name == "carol" else {}
            log_in(self.caller, self.phone, name, self.uins[name], driver=route, **options)
        self.targets = {name: self._target(name, account) for name, account in (("ops", "alice"), ("home", "carol"))}
        self.answers: dict[str, list[str]] = {}

    def _target(self, name: str, account: str) -> str:
        """Add a target and return its token."""
        target = {"name": name, "account": account, "peer": "filehelper"}
        status, made = self.caller.v1("POST", "/targets", target)
        assert status in (200, 201), made
        return str(made["token"])

    def row(
        self, name: str, version: str, task: Bilingual, run: Run | None, account: str, key: str | None = None
    ) -> Row:
        """Return the row of a program whose messages an account sends; they begin with ``key``, or its name."""
        return Row(name, version, task, run, partial(self.arrived, account, name if key is None else key))

    @staticmethod
    def script(name: str) -> str:
        return str(bots.CLIENTS / name)

    async def v1(self, method: str, path: str, body: JsonValue = None) -> tuple[int, JsonObject]:
        return await asyncio.to_thread(self.caller.v1, method, f"/{path}", body)

    def home(self, name: str) -> Path:
        place = self.stage.place / re.sub(r"\W+", "-", name)
        place.mkdir(exist_ok=True)
        return place

    async def arrived(self, account: str, key: str = "") -> list[str]:
        """Return the texts and file names that an account sent: those that begin with ``key``, or echo such."""
        if account in self.answers:
            return self.answers[account]
        sent = await asyncio.to_thread(self.phone.sent, self.uins[account], 0, 0)
        mine = re.compile(rf"(echo: )?{re.escape(key)}(?![\w-])" if key else "")
        return [message for message in map(content, sent) if mine.match(message)]

    async def until_idle(self, *names: str) -> None:
        """Wait until the accounts have no message that is not sent yet."""
        for name in names:
            while (await self.v1("GET", f"accounts/{name}/sends"))[1]["sends"]:
                await asyncio.sleep(0.5)

    # Programs

    async def run(self, name: str, *command: str, **variables: str) -> tuple[int | None, str]:
        """Run a program in the host's network to its end; return its exit status and what it printed."""
        home = str(self.home(name))
        process = await asyncio.create_subprocess_exec(
            *(*self.stage.enter, *command),
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": home, "TMPDIR": home, **variables},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode, output.decode(errors="replace")

    async def printing(self, name: str, *command: str, **variables: str) -> Belief:
        """Run a program that prints "sent: TEXT" and "failed: TEXT"."""
        status, output = await self.run(name, *command, **variables)
        assert status == 0, output
        belief = Belief()
        for line in output.splitlines():
            kind, _, message = line.partition(": ")
            if kind in ("sent", "failed"):
                (belief.sent if kind == "sent" else belief.failed).append(message)
            else:
                print(f"{name}: {line}", flush=True)
        return belief

    async def at_once(self, runs: dict[str, Awaitable[bool]]) -> Belief:
        """Run programs at once that tell by their exit status whether they have sent a text."""
        done = dict(zip(runs, await asyncio.gather(*runs.values()), strict=True))
        return Belief(
            [message for message in done if done[message]], [message for message in done if not done[message]]
        )

    async def apprise(self, key: str, url: str) -> Belief:
        """Send four alarms at once."""
        texts = [f"{key} {number}" for number in range(1, 5)]
        home, enter = self.home(key), self.stage.enter
        return await self.at_once({message: agents.apprise(url, message, home, enter) for message in texts})

    async def ntfy(self, key: str) -> Belief:
        """Send two alarms at once with ntfy's own client."""

        async def publish(message: str) -> bool:
            options = ("--token", self.targets["home"], f"{self.url}/notify/home", message)
            return (await self.run(key, program("ntfy"), "publish", *options))[0] == 0

        return await self.at_once({message: publish(message) for message in (f"{key} 1", f"{key} 2")})

    async def mcp(self, key: str, account: str, mode: str) -> Belief:
        """Read the account's messages, and send two, one after the other."""
        message = f"{key} asks"
        friend = self.phone.friend(self.uins[account])
        await asyncio.to_thread(self.phone.write, self.uins[account], friend, message)
        enter = (*self.stage.enter, "env", f"HOME={self.home(key)}")
        async with mcp_client(self.url, self.tokens["send"], mode, enter) as (client, _):

            async def read() -> bool:
                return message in json.dumps(
                    await client.result("read_messages", account=account), ensure_ascii=False
                )

            belief = Belief(read=await until(read))
            for text in (f"{key} 1", f"{key} 2"):
                answer = await client.result("send_message", account=account, to="filehelper", text=text)
                (belief.sent if answer["state"] in SENT else belief.failed).append(text)
        return belief

    @contextlib.asynccontextmanager
    async def agent(self, client: bots.Client, account: str) -> AsyncIterator[Path]:
        """Run an agent of an account; gives the file with what it prints."""
        home = self.home(f"{client.name}-{account}")
        pairs = client.name not in agents.FILES
        if not pairs:
            await agents.give_credentials(self, client.name, home, account)
        inside = dataclasses.replace(client, command=(*self.stage.enter, *client.command))
        async with agents.running(inside, home, BASE_URL=self.url) as printed:
            try:
                if pairs:
                    await agents.pair(self, printed, account)
                await agents.until_polling(self, account)
                yield printed
            except (AssertionError, TimeoutError):
                print(printed.read_text(), flush=True)
                raise
        # The next agent must not get its messages.
        await self.v1("DELETE", f"accounts/{account}/consumers/helper")

    async def shared_agent(self, client: bots.Client) -> Belief:
        """Have an agent answer three messages to the web account that it shares with other programs."""
        asked = [f"{client.name} {number}" for number in range(1, 4)]
        async with self.agent(client, "alice") as printed:
            friend = await asyncio.to_thread(self.phone.friend, self.uins["alice"])
            for message in asked:
                await asyncio.to_thread(self.phone.write, self.uins["alice"], friend, message)
            answers = [f"echo: {message}" for message in asked]
            await until(lambda: self.arrived("alice", client.name), lambda found: len(found) >= len(answers))
            output = printed.read_text()
        refused = [answer for answer in answers if f"refused: {answer}" in output]
        return Belief([answer for answer in answers if answer not in refused], refused, read=True)

    async def ilink_agent(self, client: bots.Client) -> Belief:
        """Have an agent answer the person who writes to the iLink account."""
        person = Person(self.phone, self.uins["bob"])
        person.before = len(await person.sent())
        async with self.agent(client, "bob") as printed:
            expected = [f"echo: {agents.TEXT}", "heard 2300 ms"]
            answers = await agents.converse(person)
            if client.name not in agents.WITHOUT_MEDIA:
                await agents.send_back(person, answers)
                expected.append("报告.bin")
            await self.until_idle("bob")
            output = printed.read_text()
        self.answers[client.name] = [content(message) for message in await person.sent()]
        refused = [message for message in expected if f"refused: {message}" in output]
        return Belief([message for message in expected if message not in refused], refused, read=True)

    async def web_bot(self, client: bots.Client) -> Belief:
        """Have a bot log in at the sandbox under WeChat's names, and answer a friend."""
        ca = str(self.stage.ca)
        environment = {**client.environment, "REQUESTS_CA_BUNDLE": ca, "SSL_CERT_FILE": ca, "NODE_EXTRA_CA_CERTS": ca}
        uin = self.uins[client.name] = self.phone.account(client.name, web_login=client.web_login)

        def talk() -> list[str]:
            with self.stage.client(client.command, environment) as printed:
                try:
                    return bots.converse(self.stage, int(uin))
                except AssertionError:
                    print(printed.read_text(), flush=True)
                    raise

        await asyncio.to_thread(talk)
        return Belief([f"echo: {bots.TEXT}", *(["wxpy.pdf"] if client.name == "wxpy" else [])], read=True)

    # Generated clients use the accounts alice, and waiting, which waits for a scan.

    async def python_client(self) -> Belief:
        """Generate a client with openapi-python-client and use it."""
        place = await self.generated("openapi-python-client/use.py", generators.by_openapi_python_client)
        path = f"{fetched('openapi-python-client')}:{place}"
        return await self.seen(place, sys.executable, "use.py", PYTHONPATH=path)

    async def generator_client(self, language: str) -> Belief:
        """Generate clients with openapi-generator, and use that in one language."""
        make = partial(generators.by_openapi_generator, languages=[language])
        if language == "python":
            place = await self.generated("openapi-generator/call.py", make)
            path = f"{place / language}:{fetched('openapi-python-client')}"
            return await self.seen(place, sys.executable, "call.py", PYTHONPATH=path)
        return await self.typescript("openapi-generator/use.ts", make)

    async def typescript(self, use: str, make: Callable[[Path], None]) -> Belief:
        """Generate, compile and use a client in TypeScript."""

        def compiled(place: Path) -> None:
            make(place)
            generators.compile_strictly(place)

        place = await self.generated(use, compiled)
        return await self.seen(place, "node", "use.js")

    async def generated(self, use: str, make: Callable[[Path], None]) -> Path:
        """Make a client of the host's document, next to the program ``use``."""
        place = self.home(use)
        _, _, document = await asyncio.to_thread(self.caller.get, "/v1/openapi.json")
        generators.prepare(place, use, document=document.decode())
        await asyncio.to_thread(make, place)
        return place

    async def seen(self, place: Path, *command: str, **variables: str) -> Belief:
        """Run the program of a generated client, which prints the accounts' names, or more."""
        shell = ("sh", "-c", 'cd "$0" && exec "$@"', str(place))
        status, output = await self.run(place.name, *shell, *command, self.url, self.tokens["control"], **variables)
        assert status == 0, output
        found = json.loads(output)
        names = found if isinstance(found, list) else found["accounts"]
        read = set(names) == {*ROUTES, "waiting"}
        if isinstance(found, list):
            return Belief(read=read)
        sent = "from Python" if "started" in found else "from Java"
        return Belief([sent] if found["sent"] == 0 else [], [] if found["sent"] == 0 else [sent], read)

    async def verified(self, number: int) -> Belief:
        """Verify all reports of carol with the library of Standard Webhooks, until ``number`` sends were reported.

        The library refuses reports that are older than five minutes.
        """
        sys.path.insert(0, str(fetched("standardwebhooks")))
        from standardwebhooks import Webhook as Verifier  # type: ignore[import-not-found]

        sends, verified = 0, 0
        async with asyncio.timeout(300):
            while sends < number:
                for report in self.hook.reports[verified:]:
                    delivery = report["_delivery"]
                    headers = {name.lower(): value for name, value in self.hook.headers[delivery].items()}
                    Verifier(WHSEC).verify(self.hook.bodies[delivery].decode(), headers)
                    verified += 1
                    sends += report["post_type"] == "send_message"
                await asyncio.sleep(0.5)
        return Belief(read=True)
