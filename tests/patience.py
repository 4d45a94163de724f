"""How long a test waits for something that must happen.

Only a test that fails waits so long, so that a busy machine is no failure. A test that something happens "at once"
makes the alternative take longer than this, an hour for example, and waits for the event like any other.
"""

PATIENCE = 60.0
