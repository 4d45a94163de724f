"""The command line: wxctl, a caller of the controller's API like any other.

``__main__`` has the table of verbs: start there. A verb's module is light, as every call of wxctl loads them all;
what is much to import (rich, the archives of ``transfer``, the checks of ``doctor``) is loaded by the verb that
needs it. ``verbs`` declares verbs, ``context`` has the options that they share, ``api`` is the controller as its
methods, ``connection`` the HTTP below it; ``work`` applies an action to one account or to many. Where the controller
may be away (start, stop, status, logs), ``local`` and ``systemd`` do it on this machine. Texts are in English in the
code; ``language`` shows them in the user's.
"""
