"""The controller's APIs besides the original's contract: /v1, the iLink API, notifications, MCP and metrics.

Start with ``v1``. The calls of the original's contract that are the controller's own are in
``controller.openwxcalls``.
"""
