"""WeChat servers of our own, for trying out and for tests."""
