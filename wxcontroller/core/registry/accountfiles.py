"""Reading the registry: the accounts' environment files. ``core.registry.materialise`` writes them."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from wxcontroller.core.config.envfile import parse
from wxcontroller.core.errors import BadEnvironmentFile, UnknownAccount, WxError
from wxcontroller.core.files.atomic import read_foreign
from wxcontroller.core.names import is_instance
from wxcontroller.core.paths import CONTROLLERS_FILE_BYTES, Paths
from wxcontroller.core.registry.account import Account, account_from
from wxcontroller.core.text.templates import N_

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccountFiles:
    """The accounts on disk. Reading takes no lock; files are replaced whole."""

    paths: Paths

    def instances(self) -> list[str]:
        """Return the ids of all registered accounts, sorted."""
        try:
            names = os.listdir(self.paths.accounts)  # noqa: PTH208 - names only, hundreds of them
        except FileNotFoundError:
            return []
        found = (name[:-4] for name in names if name.endswith(".env") and not name.startswith("."))
        return sorted(instance for instance in found if is_instance(instance))

    def load(self, instance: str, overrides: bool = True) -> Account:
        """Read one account, the admin's override file included unless ``overrides`` is false.

        Raises UnknownAccount if the file is missing, BadEnvironmentFile if it cannot be used.
        """
        path = self.paths.account_file(instance)
        variables = variables_in(path)
        if variables is None:
            raise UnknownAccount(
                N_("there is no account {instance}"), N_("wxctl list shows the accounts"), instance=instance
            )
        if overrides:
            variables.update(variables_in(self.paths.override_file(instance), root_owned=True) or {})
        account = account_from(variables, str(path))
        if account.name.instance != instance:
            raise BadEnvironmentFile(
                N_("{file}: contains the account {account}"),
                N_("rename or remove the file"),
                file=path,
                account=str(account.name),
            )
        return account

    def all(self) -> list[Account]:
        """Read all accounts; a file that cannot be used is logged and left out."""
        accounts: list[Account] = []
        for instance in self.instances():
            try:
                accounts.append(self.load(instance))
            except UnknownAccount:
                continue  # removed since the listing
            except (WxError, OSError) as problem:
                log.error("account %s is left out: %s", instance, problem)
        return accounts


def variables_in(path: Path, root_owned: bool = False) -> dict[str, str] | None:
    """Return an environment file's variables, None without a file. Raises BadEnvironmentFile and OSError.

    ``root_owned``: it is an administrator's, who may use a link.
    """
    try:
        # Root reads the controller's files, too.
        content = path.read_bytes() if root_owned else read_foreign(path, CONTROLLERS_FILE_BYTES)
        return parse(content.decode(), str(path))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise BadEnvironmentFile(
            N_("{file}: is not UTF-8 text"), N_("start the account again to rewrite it"), file=path
        ) from None
