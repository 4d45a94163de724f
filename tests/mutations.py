"""Small changes that general operators make to a module's syntax tree, as edits of its source.

Each edit replaces a few bytes and leaves the rest of the file as it is. Texts for people (strings with spaces or
other letters than ASCII, and the arguments of log lines) are not changed, as no test is about wording, nor are types,
docstrings, imports, decorators and assertions.
"""

import ast
import re
from dataclasses import dataclass

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: (r"==", "!="),
    ast.NotEq: (r"!=", "=="),
    ast.Lt: (r"<", "<="),
    ast.LtE: (r"<=", "<"),
    ast.Gt: (r">", ">="),
    ast.GtE: (r">=", ">"),
    ast.Is: (r"\bis\b", "is not"),
    ast.IsNot: (r"\bis\s+not\b", "is"),
    ast.In: (r"\bin\b", "not in"),
    ast.NotIn: (r"\bnot\s+in\b", "in"),
}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: (r"\+", "-"),
    ast.Sub: (r"-", "+"),
    ast.Mult: (r"\*", "//"),
    ast.Div: (r"/", "*"),
    ast.FloorDiv: (r"//", "*"),
    ast.Mod: (r"%", "*"),
    ast.LShift: (r"<<", ">>"),
    ast.RShift: (r">>", "<<"),
    ast.BitAnd: (r"&", "|"),
    ast.BitOr: (r"\|", "&"),
}
_LOG_CALLS = {"debug", "info", "warning", "error", "exception", "critical", "log"}
_WORDING_CALLS = {"N_", "_", "Text", "tell", "say"}
_TYPE_CALLS = {"cast", "TypeVar", "NewType"}


@dataclass(frozen=True, slots=True)
class Mutation:
    """Replace the bytes from ``start`` to ``end``.

    ``scope`` is the qualified name of the function or class; ``lines`` are the first line of the statement and the
    last that is concerned. ``imports``: it runs when the module is imported, so no test in particular executes it.
    """

    file: str
    scope: str
    operator: str
    lines: tuple[int, int]
    imports: bool
    start: int
    end: int
    replacement: bytes

    def applied(self, source: bytes) -> bytes:
        return source[: self.start] + self.replacement + source[self.end :]

    def change(self, source: bytes) -> tuple[str, str]:
        """Return the changed lines before and after, without indentation: they outlive moves within the scope."""
        begin = source.rfind(b"\n", 0, self.start) + 1
        end = source.find(b"\n", self.end)
        end = len(source) if end < 0 else end
        after = source[begin : self.start] + self.replacement + source[self.end : end]
        return _dedented(source[begin:end]), _dedented(after)


def _dedented(lines: bytes) -> str:
    return "\n".join(line.strip() for line in lines.decode().splitlines())


def mutations_of(file: str, source: bytes) -> list[Mutation]:
    """Return all mutations of a module that compile, in the order of their places."""
    found = _Finder(file, source)
    found.block(ast.parse(source).body, "")
    return sorted(found.mutations, key=lambda one: (one.start, one.end, one.replacement))


def compiles(mutation: Mutation, source: bytes) -> bool:
    """Return whether the mutated module is valid, and another than before."""
    try:
        return ast.dump(ast.parse(mutation.applied(source))) != ast.dump(ast.parse(source))
    except (SyntaxError, ValueError):
        return False


class _Finder:
    """Walks a module; ``scope`` is the qualified name of what is walked."""

    def __init__(self, file: str, source: bytes) -> None:
        self.mutations: list[Mutation] = []
        self._file, self._source, self._scope = file, source, ""
        self._functions, self._line = 0, 1
        # Columns of the syntax tree count bytes.
        self._lines = [0, *(place.end() for place in re.finditer(rb"\n", source))]

    def block(self, statements: list[ast.stmt], scope: str) -> None:
        outer, self._scope = self._scope, scope
        for statement in statements:
            self._statement(statement)
        self._scope = outer

    # -- statements

    def _statement(self, node: ast.stmt) -> None:
        self._line = node.lineno
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Assert():
                return
            case ast.Expr(value=ast.Constant()):
                return  # a docstring, or the body of a protocol's method
            case ast.If(test=ast.Name("TYPE_CHECKING")) | ast.If(test=ast.Compare(left=ast.Name("__name__"))):
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node)
                return
            case ast.ClassDef():
                self.block(node.body, f"{self._scope}.{node.name}".lstrip("."))
                return
            case ast.AnnAssign():
                if node.value is not None:
                    self._expression(node.value, node)
                return
            case ast.Assign(targets=[ast.Name("__slots__" | "__all__")]):
                return
            case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                self._edit("drop what is returned", self._last(node), *self._span(value), "None")
            case ast.Expr(value=value):
                if _is_log(value):
                    if _called(value) != "debug":
                        self._drop(node)
                    return
                self._drop(node)
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign() | ast.Delete():
                self._drop(node)
            case ast.Raise() | ast.Continue() | ast.Break():
                self._drop(node)
            case ast.If(test=test) | ast.While(test=test):
                self._negate(test)
        self._inside(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self._expression(default, node)
        body = [one for one in node.body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
        scope = f"{self._scope}.{node.name}".lstrip(".")
        outer, self._scope = self._scope, scope
        self._functions += 1
        for statement in body:
            if not isinstance(statement, ast.Return | ast.Pass | ast.FunctionDef | ast.AsyncFunctionDef | ast.Raise):
                self._line = statement.lineno
                start = self._offset(statement.lineno, statement.col_offset)
                self._edit("return early", statement.lineno, start, start, f"return\n{' ' * statement.col_offset}")
        self.block(body, scope)
        self._functions -= 1
        self._scope = outer

    def _drop(self, node: ast.stmt) -> None:
        self._edit("drop a statement", self._last(node), *self._span(node), "pass")

    # -- expressions

    def _inside(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                self._statement(child)
            elif isinstance(child, ast.expr):
                self._expression(child, node)
            else:
                self._inside(child)  # handlers, cases, comprehensions, keywords, items of with

    def _expression(self, node: ast.expr, parent: ast.AST) -> None:
        if isinstance(node, ast.FormattedValue):
            self._expression(node.value, node)  # its format is wording
            return
        match node:
            case ast.Constant():
                if not isinstance(parent, ast.JoinedStr):
                    self._constant(node)
                return
            case ast.Call():
                if _is_log(node) or _called(node) in _TYPE_CALLS:
                    return
                self._keywords(node)
                if _called(node) in _WORDING_CALLS:
                    for argument in node.args[1:]:
                        self._expression(argument, node)
                    for keyword in node.keywords:
                        self._expression(keyword.value, node)
                    return
            case ast.Compare():
                for left, operator, right in zip(
                    [node.left, *node.comparators], node.ops, node.comparators, strict=False
                ):
                    self._swap("swap a comparison", node, left, right, _COMPARISONS[type(operator)])
            case ast.BoolOp():
                words = (r"\band\b", "or") if isinstance(node.op, ast.And) else (r"\bor\b", "and")
                for left, right in zip(node.values, node.values[1:], strict=False):
                    self._swap("swap and, or", node, left, right, words)
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                self._swap("swap arithmetic", node, node.left, node.right, _ARITHMETIC[type(node.op)])
            case ast.UnaryOp(op=ast.Not()):
                start, _ = self._span(node)
                self._edit("negate a condition", self._last(node), start, start + len("not"), "")
            case ast.IfExp(test=test):
                self._negate(test)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                for generator in node.generators:
                    for condition in generator.ifs:
                        self._negate(condition)
            case ast.Await() if not isinstance(parent, ast.Expr):
                start, end = self._span(node)
                self._edit(
                    "drop an await's result", self._last(node), start, end, f"({self._text(start, end)}, None)[1]"
                )
        self._inside(node)

    def _constant(self, node: ast.Constant) -> None:
        value, changed = node.value, list[object]()
        match value:
            case bool():
                changed = [not value]
            case int():
                changed = [value + 1, 0] if value else [1]
            case float():
                changed = [value * 2, 0.0] if value else [1.0]
            case str() if value.isascii() and " " not in value.strip():
                changed = [f"{value}x", ""] if value else ["x"]
            case bytes():
                changed = [value + b"x"]
        for other in changed:
            self._edit("change a constant", self._last(node), *self._span(node), repr(other))

    def _keywords(self, node: ast.Call) -> None:
        arguments = sorted([*map(self._span, node.args), *map(self._span, node.keywords)])
        for keyword in node.keywords:
            if keyword.arg is None:
                continue
            start, end = self._span(keyword)
            place = arguments.index((start, end))
            if place + 1 < len(arguments):
                end = arguments[place + 1][0]
            elif place:
                start = arguments[place - 1][1]
            self._edit("drop a keyword argument", self._last(keyword.value), start, end, "")

    def _negate(self, test: ast.expr) -> None:
        start, end = self._span(test)
        self._edit("negate a condition", self._last(test), start, end, f"not ({self._text(start, end)})")

    def _swap(self, name: str, node: ast.expr, left: ast.expr, right: ast.expr, words: tuple[str, str]) -> None:
        pattern, replacement = words
        start, end = self._span(left)[1], self._span(right)[0]
        if found := re.search(pattern, self._text(start, end)):
            self._edit(name, self._last(node), start + found.start(), start + found.end(), replacement)

    # -- places

    def _offset(self, line: int, column: int) -> int:
        return self._lines[line - 1] + column

    def _span(self, node: ast.stmt | ast.expr | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _last(self, node: ast.stmt | ast.expr) -> int:
        return node.lineno if isinstance(node, ast.stmt) else node.end_lineno or node.lineno

    def _text(self, start: int, end: int) -> str:
        return self._source[start:end].decode()

    def _edit(self, operator: str, last: int, start: int, end: int, replacement: str) -> None:
        lines = self._line, last
        made = Mutation(
            self._file, self._scope, operator, lines, not self._functions, start, end, replacement.encode()
        )
        self.mutations.append(made)


def _called(node: ast.expr) -> str:
    """Return the last name of the function that an expression calls, or ""."""
    node = node.value if isinstance(node, ast.Await) else node
    match node:
        case ast.Call(func=ast.Name(name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name
    return ""


def _is_log(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(owner), attr=name)):
            return name in _LOG_CALLS and owner.strip("_").lower() in ("log", "logger")
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=owner), attr=name)):
            return name in _LOG_CALLS and owner.strip("_").lower() in ("log", "logger")
    return False
