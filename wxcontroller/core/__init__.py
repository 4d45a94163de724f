"""Words of the domain: names, paths, settings, states. No network, no WeChat, no systemd calls."""
