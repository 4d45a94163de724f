"""For all tests, in one process or in several."""

import signal

# A shell that puts us into the background has interrupts ignored, and what we start would inherit that: tests of
# Ctrl-C could not press it.
signal.signal(signal.SIGINT, signal.default_int_handler)
