"""The routes to WeChat as people choose one, in the dashboard and in wxctl; docs/routes.md has more of each."""

from collections.abc import Mapping
from dataclasses import dataclass

from wxcontroller.core.text.templates import N_


@dataclass(frozen=True, slots=True)
class OfferedRoute:
    """A route to WeChat.

    ``driver`` is the option's value, ``short`` its name elsewhere, ``scan`` the step with the phone, and ``then`` the
    first step after the login.
    """

    driver: str
    name: str
    short: str
    meaning: str
    then: str
    scan: str = N_("Scan with WeChat on the phone")


# The first one is preselected.
ROUTES = (
    OfferedRoute(
        "ilink",
        N_("Official bot API"),
        N_("iLink"),
        N_(
            "Works for every account with WeChat 8.0.69 or newer. The person who scans writes first; about ten "
            "answers in the 24 hours after each message. No groups."
        ),
        N_("Next: on the phone, write to the bot, which is a new chat. Before that, nothing can be sent."),
        N_("Scan with WeChat on the phone (8.0.69 or newer)"),
    ),
    OfferedRoute(
        "web",
        N_("WeChat Web"),
        N_("Web"),
        N_("All friends and groups. WeChat refuses most accounts registered since 2017, and restricted some."),
        N_("Next: send a message to yourself, to filehelper."),
    ),
    OfferedRoute(
        "filehelper",
        N_("File Transfer"),
        N_("File Transfer"),
        N_("Messages to and from yourself, without a reply window. Experimental."),
        N_("Next: send a message to yourself, to filehelper."),
    ),
)
BY_DRIVER: Mapping[str, OfferedRoute] = {route.driver: route for route in ROUTES}
