"""Names of received files in an account's media directory: a time, random digits, an extension."""

import re

MEDIA_FILE = re.compile(r"mojo_weixin_media_[0-9]{14}_[0-9a-f]{16}\.[a-z0-9]{1,10}")


def file_of(path: str) -> str:
    """Return the name of a received file, by which the call serves it; "" for anything else."""
    name = path.rpartition("/")[2]
    return name if MEDIA_FILE.fullmatch(name) else ""
