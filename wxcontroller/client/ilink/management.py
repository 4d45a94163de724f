"""The consumers of an account, as its port's /v1 shows and changes them."""

from dataclasses import dataclass

from aiohttp import web

from wxcontroller.client.calls.call import Parts, json_answer
from wxcontroller.client.ilink.consumerbook import NAME, Consumer, ConsumerBook, ConsumerOptions
from wxcontroller.client.ilink.getupdates import Polling
from wxcontroller.client.ilink.ids import HELPER_ID, Ids
from wxcontroller.client.ilink.sendmessage import AgentSending
from wxcontroller.client.sends.content.callbodies import BODIES
from wxcontroller.client.store.tables import consumertables as tables
from wxcontroller.client.v1.forms.selecting import bad, read_body
from wxcontroller.client.v1.forms.v1answers import RequestRefused, stored_soon
from wxcontroller.core.jsontypes import JsonObject, JsonValue, items, obj, text
from wxcontroller.core.text.templates import N_

_REMEDY = N_("docs/ilink-agents.md lists the options of an agent")


@dataclass(slots=True)
class Management:
    """The calls."""

    parts: Parts
    consumers: ConsumerBook
    ids: Ids
    polling: Polling
    sending: AgentSending

    def user_of(self, consumer: Consumer) -> str:
        """Return the user of a consumer's agent, as its ``ilink_user_id``.

        On a route with reply windows: the person who scanned, else the one the administrator named, else the account.
        """
        if self.parts.sends.windows is not None:
            return self.parts.roster.login or consumer.user_id
        return consumer.options.owner or HELPER_ID

    async def shown(self, consumer: Consumer) -> JsonObject:
        """Return a consumer for display. Raises Unavailable."""
        position, with_groups = consumer.position, consumer.options.groups.value != "off"
        behind: int | None = None  # it has not polled yet
        if position >= 0:
            behind = await self.parts.log.read(lambda db: tables.behind(db, position, with_groups))
        return {
            "name": consumer.name,
            "ilink_bot_id": consumer.bot_id,
            "ilink_user_id": self.user_of(consumer),
            "options": consumer.options.as_json(),
            "online": consumer.online,
            "polling": self.polling.is_polling(consumer),
            "last_poll": consumer.last_poll or None,
            "bot_agent": consumer.bot_agent,
            "channel_version": consumer.channel_version,
            "sent": consumer.sent,
            "held": self.sending.held(consumer),
            "behind": behind,
            "skipped": consumer.skipped,
        }

    async def briefly(self) -> list[JsonValue]:
        """Return all consumers for the account's status: without their options, which may be long.

        Raises Unavailable.
        """
        shown = [await self.shown(consumer) for consumer in self.consumers.all()]
        return [{name: value for name, value in consumer.items() if name != "options"} for consumer in shown]

    async def listed(self, _: web.Request) -> web.StreamResponse:
        """GET: all of them. Raises Unavailable."""
        shown: list[JsonValue] = [await self.shown(consumer) for consumer in self.consumers.all()]
        return json_answer({**self._account, "consumers": shown})

    @property
    def _account(self) -> JsonObject:
        """The account that answers: another one may have the port by now, and the controller checks."""
        name = self.parts.config.name
        return {"account": name.name, "instance": name.instance}

    async def put(self, request: web.Request) -> web.StreamResponse:
        """PUT a JSON object of options: change a consumer, or create it. Raises RequestRefused and Unavailable."""
        name = request.match_info["name"]
        if not NAME.fullmatch(name):
            raise bad(
                N_("an agent's name has 1 to 64 letters a to z, digits, dots, hyphens and underscores"),
                N_("start it with a letter or digit"),
            )
        changes = read_body(await request.app[BODIES].small(request) or b"{}", _REMEDY)
        if not isinstance(changes, dict):
            raise bad(N_("the body is not a JSON object"), _REMEDY)
        existing = self.consumers.get(name)
        options = self._options(existing.options if existing else ConsumerOptions(), obj(changes))
        async with stored_soon(self.parts.log):
            # First: the options name people by these ids.
            await self.ids.stored()
            consumer = existing or await self.consumers.take(name)
            consumer.options = options
            await self.consumers.stored(consumer)
        return json_answer({**self._account, **await self.shown(consumer)}, 200 if existing else 201)

    def _options(self, existing: ConsumerOptions, changes: JsonObject) -> ConsumerOptions:
        """Return options with the requested changes. Raises RequestRefused."""
        people = {"owner": [text(changes.get("owner"))]}
        if isinstance(changes.get("peers"), list):
            people["peers"] = [text(peer) for peer in items(changes.get("peers"))]
        found: dict[str, list[str]] = {}
        for option, names in people.items():
            found[option] = [self.ids.from_account(peer) if peer else "" for peer in names]
            for name, peer in zip(names, found[option], strict=True):
                if name and not peer:
                    raise bad(
                        N_("option {option}: {peer} is not known to this account"),
                        N_("name a person or group by its id; the account must be logged in"),
                        option=option,
                        peer=name[:64],
                    )
        wanted = dict(changes)
        if "peers" in found:
            wanted["peers"] = list[JsonValue](found["peers"])
        if "owner" in changes and isinstance(changes["owner"], str):
            wanted["owner"] = found["owner"][0]
        try:
            return existing.changed(wanted)
        except ValueError as problem:
            raise bad(
                N_("option {option} is unknown or has an invalid value"), _REMEDY, option=str(problem)[:64]
            ) from None

    async def delete(self, request: web.Request) -> web.StreamResponse:
        """DELETE one: its poll ends, and its links to media. Raises RequestRefused and Unavailable."""
        consumer = self.consumers.get(request.match_info["name"])
        if consumer is None:
            raise RequestRefused(
                404, "no-such-consumer", N_("no agent has this name"), N_("GET /v1/consumers lists the agents")
            )
        self.polling.end(consumer)
        async with stored_soon(self.parts.log):
            await self.consumers.delete(consumer)
        return json_answer({**self._account, "name": consumer.name, "deleted": True})
