"""The controller's process, which listens on port 2000: wxcontroller.service.

``service`` connects, starts, reloads and ends the parts; start there. ``app`` is the application, ``server`` the
sockets. The controller is stateless: ``registry`` and ``statefiles`` read files, ``units`` (the only module that
uses systemd) reads and changes units, and ``accountviews`` combines both. ``accounts`` acts: it stores the desired
state, makes systemd apply it (``unitstarts``) and checks the result; ``reconcile`` does so for all accounts after a
boot. A request passes ``admission`` (its caller's share of the limits), ``origin`` and ``authentication`` (who the
caller is), and ``access`` (what the caller may do).

The APIs are packages: ``openwx`` (a module: the calls of /openwx about all accounts), ``v1``, ``ilink``, ``notify``,
``mcp``, ``metrics`` and ``page``. ``account_port`` is the only way to an account's process, which is not trusted.
``alerts`` decides which alerts are due; ``wxcontroller.alert`` delivers them. Modules whose names begin with
``host`` connect to ``wxcontroller.fleet`` and are loaded only in a fleet. WeChat's protocols are not known here: the
client and its drivers are never imported.
"""
