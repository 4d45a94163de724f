"""The process behind port 2000: wxcontroller.service."""
