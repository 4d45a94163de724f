"""Keeps small what each account's process has in memory: it is multiplied by hundreds.

Call ``prepare`` before aiohttp is imported. Without it an idle account has 33.1 MiB on Debian 13: 1.7 for authorities
that it never meets, and 1.6 for modules that its libraries import and never use. Loading them is a seventh of the
processor time of its start.
"""

import importlib.util
import os
import ssl
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

# Imported by the libraries we use, and used by them for what an account does seldom or never. Loaded at their first
# use: ast alone has a class for each piece of Python's grammar.
_LATER = frozenset(
    "ast asyncio.sslproto attr.converters attr.filters attr.validators bz2 email.header idna lzma pickle queue shlex "
    "token tokenize uuid".split()
)


def prepare() -> None:
    """Have less loaded by what is imported from now on."""
    _trust_by_directory()
    if sys.version_info >= (3, 13):  # before, two threads could load a module twice
        sys.meta_path.insert(0, _Later())


def _trust_by_directory() -> None:
    """Have OpenSSL look each authority up when it is met, instead of loading all 146 into each context.

    aiohttp makes a context at its import. What the administrator has set stays as it is.
    """
    paths, environ = ssl.get_default_verify_paths(), os.environ
    if paths.openssl_cafile_env in environ or paths.openssl_capath_env in environ or paths.capath is None:
        return
    with os.scandir(paths.capath) as entries:
        if any(entry.name.endswith(".0") for entry in entries):  # the names that OpenSSL looks for: by subject
            environ[paths.openssl_cafile_env] = os.devnull


class _Later:
    """Finds the modules of ``_LATER`` as everybody does, and lets them be loaded at their first use."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in _LATER else None
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec
