"""The process behind port 2000: wxcontroller.service.

``service`` wires, starts, reloads and ends the parts; start there. ``app`` is the application, ``server`` the
sockets. Nothing is remembered: ``registry`` and ``statefiles`` read what files hold, ``units`` asks systemd (no other
module does), ``accountviews`` joins them to what is true at the moment. ``accounts`` acts: it writes what is wanted,
has systemd do it (``unitstarts``) and looks again; ``reconcile`` does so for all accounts after a boot. A request
passes ``admission`` (how much its caller may take), ``origin`` and ``authentication`` (who it is), ``access`` (what
it may do).

APIs are in packages: ``openwx`` (a module: what of /openwx is about all accounts), ``v1``, ``ilink``, ``notify``,
``mcp``, ``metrics`` and ``page``. ``account_port`` is the only way to an account's own process, which is not trusted.
``alerts`` decides what people are told; ``wxcontroller.alert`` delivers it. Modules that begin with ``host`` join
``wxcontroller.fleet`` and are loaded only in a fleet. WeChat is unknown here: the client and its drivers are never
imported.
"""
