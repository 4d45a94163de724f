"""The Model Context Protocol at ``/mcp``: tools with which AI agents read and send messages.

Written by hand, as an exception to the rule that protocols come from libraries: Debian 13 has none for MCP. It
implements what a server of tools needs: JSON-RPC 2.0, one request per POST, answered in JSON
(``protocol.py``), and the tools themselves (``tools.py``). Tests use the public client.

Off until ``mcp_serve`` is set. A token is needed even while the rest of the API is open, in a header. A tool needs
the scope of the call of /v1 that it stands for; those that a token may not use are not listed. A token that is bound
to accounts reaches no others.

Names and texts of messages are written by strangers, who may try to instruct the agent. The descriptions of the
tools warn of this; it cannot be enforced here, so reading and sending are separate scopes.
"""

from wxcontroller.controller.mcp.protocol import add_routes

__all__ = ["add_routes"]
