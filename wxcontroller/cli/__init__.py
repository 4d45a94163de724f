"""The command line: wxctl."""
