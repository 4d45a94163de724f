"""GET /v1/options at the account's port: the options of this process, which may differ from those stored for the
next."""

from wxcontroller.client.config import ClientConfig
from wxcontroller.core.config.options import OPTIONS, Origin
from wxcontroller.core.jsontypes import JsonObject, JsonValue
from wxcontroller.core.registry.account import presentable, without_client


def options_of(config: ClientConfig) -> JsonObject:
    """Return every option as set, without secrets; ``credentials`` are those set by a credential."""
    addresses = {"post_api": without_client(config.post_api), "poll_api": without_client(config.poll_api)}
    set_ = {**addresses, **config.set_options}
    shown: JsonObject = {
        option.name: presentable(option.name, set_.get(option.name, option.default))
        for option in OPTIONS.values()
        if option.origin is not Origin.IGNORED
    }
    names: list[JsonValue] = list(config.by_credential)
    return {"name": config.name.name, "instance": config.name.instance, "options": shown, "credentials": names}
