"""The process behind one account: wxclient@NAME.service."""
