"""The Model Context Protocol at ``/mcp``: tools with which AI agents read and send messages.

``protocol`` has JSON-RPC 2.0, one request per POST, answered in JSON; ``tools`` the tools: start there. It is written
by hand, an exception to the rule that protocols come from libraries, because Debian 13 has none for MCP.

It is off until ``mcp_serve`` is set. A token in a header is required even while the rest of the API is open. A tool
needs the scope of the corresponding call of /v1; tools that a token may not use are not listed. A token that is bound
to accounts can reach no others.

Names and texts of messages come from strangers, who may try to instruct the agent. The descriptions of the tools warn
of this; it cannot be prevented here, so reading and sending have separate scopes.
"""

from wxcontroller.controller.apis.mcp.protocol import add_routes

__all__ = ["add_routes"]
