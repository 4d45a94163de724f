"""A webhook that can be rude, or never answer, and that keeps books of what it took."""

from dataclasses import dataclass, field

from tests.system.actors import Json, Webhook
from tests.torture.ledger import Arrival, Ledger


@dataclass
class Receiver(Webhook):
    """``status`` is its response to all, 0 for none; with ``takes`` the ledger has the messages of the reports."""

    port: int = 8901
    ledger: Ledger = field(default_factory=Ledger)
    status: int = 200
    takes: bool = True

    def __post_init__(self) -> None:
        self.answer = self._note

    def _note(self, report: Json) -> int:
        if self.takes and report.get("post_type") == "receive_message":
            self.ledger.arrive(Arrival(report["_client"], str(report["id"]), report["_delivery"]))
        return self.status
