"""The account's own part of /v1: data that only the running process has.

``reads`` has the calls that read, ``acts`` those that do something, ``forms`` the common forms of their answers.
``client.v1api`` names all calls: start there. The controller forwards them under its own /v1; callers are checked as
for /openwx. The calls are described in the controller (``controller.apis.v1.form.declaring``), next to the routes
that forward them.
"""
