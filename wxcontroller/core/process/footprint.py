"""Reduces the memory of each account's process, which is multiplied by hundreds, and the CPU of starts.

Call ``prepare`` before aiohttp is imported. Without it an idle account has 7 MiB more on Debian 13, and imports of
the controller take about a fifth more CPU. A name missing in ``_LATER`` has its module loaded at once: another
version of a library costs memory, and nothing else.
"""

import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

from wxcontroller.core.process import deferred


def prepare() -> None:
    """Reduce what later imports load."""
    trust_by_directory()
    if sys.version_info >= (3, 13):  # where it is tested
        deferred.install(_LATER)
    from wxcontroller.core.process import leanclasses  # not before: dataclasses takes inspect

    leanclasses.install()


def trust_by_directory() -> None:
    """Let OpenSSL look up authorities on demand, instead of loading all 146 into each context.

    aiohttp makes a context at its import. A setting of the administrator's stays.
    """
    paths, environ = ssl.get_default_verify_paths(), os.environ
    if paths.openssl_cafile_env in environ or paths.openssl_capath_env in environ or paths.capath is None:
        return
    with os.scandir(paths.capath) as entries:
        if any(entry.name.endswith(".0") for entry in entries):  # the names that OpenSSL looks for: by subject
            environ[paths.openssl_cafile_env] = os.devnull


# -- replacements for parts of modules that would be loaded for them alone


def annotations(cls: type) -> Mapping[str, object]:
    return dict(vars(cls).get("__annotations__", {}))


def is_coroutine_function(function: object) -> bool:
    inner = getattr(function, "__func__", function)
    if type(inner) is FunctionType and not vars(inner):  # a plain function
        return bool(inner.__code__.co_flags & _CO_COROUTINE)
    answer: bool = deferred.executed("inspect").iscoroutinefunction(function)
    return answer


def timegm(moment: Sequence[int]) -> int:
    from datetime import date

    year, month, day, hour, minute, second = moment[:6]
    days = date(year, month, 1).toordinal() - date(1970, 1, 1).toordinal() + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second


class _Entities(dict[str, str]):
    """The entities that XML has too, and all of HTML's once another is looked up."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in all_entities()

    def __missing__(self, name: str) -> str:
        return all_entities()[name]


def all_entities() -> Mapping[str, str]:
    found: Mapping[str, str] = deferred.executed("html.entities").html5
    return found


_CO_COROUTINE = 0x80  # of inspect
_INSPECT: dict[str, Any] = {
    "get_annotations": annotations,
    "currentframe": sys._getframe,
    "iscoroutinefunction": is_coroutine_function,
}
# Imported by the libraries we use, and used by them for rare work of an account. The memory that each saves is in
# docs/performance.md.
_LATER: Mapping[str, deferred.Names] = {
    **dict.fromkeys("attr.validators idna pickle".split(), ""),
    "aiohttp.client_ws": "DEFAULT_WS_CLIENT_TIMEOUT ClientWebSocketResponse ClientWSTimeout",
    "aiohttp.multipart": "BadContentDispositionHeader BadContentDispositionParam BodyPartReader MultipartReader "
    "MultipartWriter content_disposition_filename parse_content_disposition",
    "aiohttp.tracing": "Trace TraceConfig TraceConnectionCreateEndParams TraceConnectionCreateStartParams "
    "TraceConnectionQueuedEndParams TraceConnectionQueuedStartParams TraceConnectionReuseconnParams "
    "TraceDnsCacheHitParams TraceDnsCacheMissParams TraceDnsResolveHostEndParams TraceDnsResolveHostStartParams "
    "TraceRequestChunkSentParams TraceRequestEndParams TraceRequestExceptionParams TraceRequestHeadersSentParams "
    "TraceRequestRedirectParams TraceRequestStartParams TraceResponseChunkReceivedParams",
    "aiohttp.web_fileresponse": "FileResponse",
    "aiohttp.web_ws": "WebSocketReady WebSocketResponse WSMsgType",
    "argparse": "ArgumentParser",
    "calendar": {"timegm": timegm},
    "email.message": "Message",
    "email.parser": "HeaderParser",
    "html.entities": {"html5": _Entities({"amp;": "&", "lt;": "<", "gt;": ">", "quot;": '"'})},
    "inspect": _INSPECT,
    "shutil": "rmtree",
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
    "traceback": "StackSummary extract_stack",
    "urllib.request": "getproxies proxy_bypass",
}
