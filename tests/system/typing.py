"""Type at a prompt: ``python3 typing.py bash|zsh|fish LINE...`` prints each LINE as a tab at its end completes it.

Runs in the test host. The shell has Debian's settings, as for a new user.
"""

import os
import pty
import re
import select
import sys
import time

# A key that prints the line.
SHOW = "\x07"
SETUP = {
    "bash": "source /usr/share/bash-completion/bash_completion; PS1='ready> '; "
    "bind 'set enable-bracketed-paste off'; "
    'bind -x \'"\\C-g":printf "\\n<<%s>>\\n" "$READLINE_LINE"\'',
    "zsh": "autoload -U compinit; compinit -u -D; PS1='ready> '; show() { print -r -- $'\\n'\"<<$BUFFER>>\" }; "
    "zle -N show; bindkey '^G' show; unset zle_bracketed_paste",
    "fish": "function fish_prompt; echo 'ready> '; end; function show; printf '\\n<<%s>>\\n' (commandline); end; "
    "bind \\a show; set -g fish_greeting",
}
COMMAND = {"bash": ["bash", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"], "fish": ["fish", "-i"]}
PATIENCE = 60.0  # tests.patience; this runs in the host
_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-Za-z]|[=>78MDEHc])")


class Terminal:
    """A shell in a terminal, and its output since the last match."""

    def __init__(self, shell: str) -> None:
        child, self._end = pty.fork()
        if child == 0:
            os.environ.update(TERM="xterm", LINES="50", COLUMNS="200", HOME="/root")
            os.execvp(COMMAND[shell][0], COMMAND[shell])
        self._seen = b""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def until(self, pattern: bytes) -> "re.Match[bytes]":
        deadline = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, _ESCAPES.sub(b"", self._seen), re.DOTALL)):
            if not select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))[0]:
                sys.exit(f"the shell does not show {pattern!r}, but: {self._seen!r}")
            self._seen += os.read(self._end, 65536)
            self._answer()
        self._seen = b""
        return found

    def _answer(self) -> None:
        """Respond to a query for the kind of terminal, for which fish waits."""
        if b"\x1b[c" in self._seen or b"\x1b[0c" in self._seen:
            self._seen = self._seen.replace(b"\x1b[c", b"").replace(b"\x1b[0c", b"")
            self.type("\x1b[?1;2c")


def main() -> None:
    shell, *lines = sys.argv[1:]
    terminal = Terminal(shell)
    terminal.type(SETUP[shell] + "; echo settled\n")
    terminal.until(rb"[\r\n]settled.*ready> ")
    for line in lines:
        terminal.type(line + "\t")
        # The shell handles this key after the completion.
        terminal.type(SHOW)
        shown = terminal.until(rb"<<([^\n]*)>>")
        print(shown[1].decode(), flush=True)
        terminal.type("\x05\x15")  # delete the line


if __name__ == "__main__":
    main()
