"""Routes to WeChat behind one protocol (see base)."""
