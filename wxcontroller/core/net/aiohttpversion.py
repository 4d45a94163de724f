"""The versions of aiohttp whose undocumented parts are known. Only optional, faster code uses such parts. It checks
here before it imports them; with any other version, the documented way is used, which the same tests cover. So the
package does not depend on a version.
"""

import aiohttp

# From the first to below the second. Debian 13 has 3.11.
KNOWN = (3, 11), (3, 12)


def is_known() -> bool:
    """Return whether the undocumented parts of this aiohttp are known."""
    major, _, rest = aiohttp.__version__.partition(".")
    minor = rest.partition(".")[0]
    return major.isdecimal() and minor.isdecimal() and KNOWN[0] <= (int(major), int(minor)) < KNOWN[1]
