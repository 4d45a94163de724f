"""Completion of wxctl's arguments in bash, zsh and fish: the shells' scripts, and the answers to them.

click's own completion fails in bash on names with spaces and on colons and quotes before the word, and in zsh on the
second tab after the file was loaded. Imported when a shell asks, and to write the files of the package.
"""

import os
import re
import shlex

from click.shell_completion import CompletionItem, ShellComplete, add_completion_class

_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain)
            COMPREPLY+=("$value")
            [[ $value != *= ]] || compopt -o nospace
            ;;
        esac
    done < <(%(complete_var)s=bash_complete COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local type key descr
    local -a plain described open
    (( ! $+commands[%(prog_name)s] )) && return 1
    for type key descr in "${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
            %(complete_var)s=zsh_complete %(prog_name)s)}"; do
        case $type in
        dir) _path_files -/ ;;
        file) _path_files -f ;;
        plain)
            if [[ $key == *= ]]; then
                open+=("${key//:/\\\\:}:$descr")
            elif [[ $descr == _ ]]; then
                plain+=("$key")
            else
                described+=("${key//:/\\\\:}:$descr")
            fi
            ;;
        esac
    done
    (( $#open )) && _describe -V unsorted open -S '' -U
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
}

if [[ $funcstack[1] == _%(prog_name)s ]]; then
    # Loaded to complete: it takes the place of what loaded it.
    functions[_%(prog_name)s]=$functions[%(complete_func)s]
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""
_FISH = """\
function %(complete_func)s
    set -l line (commandline -cp)
    set -l word (commandline -ct)
    for completion in (env %(complete_var)s=fish_complete COMP_WORDS="$line" COMP_CWORD="$word" %(prog_name)s)
        set -l found (string split --max 1 , $completion)
        switch $found[1]
            case dir
                __fish_complete_directories $found[2]
            case file
                __fish_complete_path $found[2]
            case plain
                echo $found[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""
_PLAIN = re.compile(r"[\w@%+=:,./-]")


@add_completion_class
class Bash(ShellComplete):
    """Takes the line up to the cursor: bash breaks words where we do not."""

    name = "bash"
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        # The rest of the line shows in which word the cursor is, if any.
        *args, last = _words(os.environ.get("COMP_LINE", "") + "x")
        return args[1:], last[:-1]

    def format_completion(self, item: CompletionItem) -> str:
        line, value = os.environ.get("COMP_LINE", ""), str(item.value)
        if item.type != "plain" or open_quote(line):
            return f"{item.type},{value}"
        # bash replaces only the text after the last word-breaking character.
        breaks = set(os.environ.get("COMP_BREAKS", "")) - set(" \t\n\"'")
        typed = self.get_completion_args()[1]
        kept = max((typed.rfind(each) for each in breaks), default=-1) + 1
        value = value[kept:] if value.startswith(typed[:kept]) else value
        return "plain," + "".join(c if _PLAIN.fullmatch(c) else f"\\{c}" for c in value)


@add_completion_class
class Zsh(ShellComplete):
    """Takes the words and the index of the one to complete; value and help are on separate lines."""

    name = "zsh"
    source_template = _ZSH

    def get_completion_args(self) -> tuple[list[str], str]:
        words, number = _words(os.environ.get("COMP_WORDS", "")), int(os.environ.get("COMP_CWORD") or 0)
        return words[1:number], words[number] if number < len(words) else ""

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type}\n{item.value}\n{_line(item) or '_'}"


@add_completion_class
class Fish(ShellComplete):
    """Takes the words up to the cursor, and the last of them; expects the help after a tab."""

    name = "fish"
    source_template = _FISH

    def get_completion_args(self) -> tuple[list[str], str]:
        words, typed = _words(os.environ.get("COMP_WORDS", "")), os.environ.get("COMP_CWORD", "")
        incomplete = "".join(_words(typed)[:1])
        if typed and len(words) > 1:
            words.pop()
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        line = _line(item)
        return f"{item.type},{item.value}" + (f"\t{line}" if line else "")


def _words(line: str) -> list[str]:
    """Split a line as a shell does; its last word may be unfinished, in quotes or before a space that is escaped."""
    parser = shlex.shlex(line, posix=True)
    parser.whitespace_split, parser.commenters = True, ""
    found: list[str] = []
    try:
        found += parser
    except ValueError:
        found.append(parser.token)
    return found


def _line(item: CompletionItem) -> str:
    """Return a candidate's description on one line."""
    return " ".join((item.help or "").split())


def open_quote(line: str) -> bool:
    """Return whether a line ends within quotes."""
    quote, escaped = "", False
    for c in line:
        if escaped:
            escaped = False
        elif c == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
    return bool(quote)
