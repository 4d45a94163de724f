"""Programs that break everything a host has, again and again, and count what came of it: make torture."""
