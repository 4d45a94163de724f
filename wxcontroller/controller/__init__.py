"""The controller's process, which listens on port 2000: wxcontroller.service.

``service`` connects, starts, reloads and ends the parts: start there. ``app`` is the application, ``server`` the
sockets. The controller is stateless: ``accounts`` reads files and units and acts on accounts; after a boot
``reconcile`` applies the desired state of all. A request passes ``edge`` (connection, admission, authorization) and
``callers`` (who calls). ``openwxcalls`` has the calls of /openwx about all accounts; the other APIs are in ``apis``,
the dashboard in ``page``.

``account_port`` is the only way to an account's process, which is not trusted; ``forwarding`` takes requests there.
``alerts`` decides which alerts are due, ``wxcontroller.alert`` delivers them. ``hosts`` connects to
``wxcontroller.fleet``, only in a fleet. Client and drivers are never imported: WeChat's protocols are not known here.
"""
