"""Modules that are found when they are imported, and executed at their first use.

Like importlib's LazyLoader, but ``from … import …`` of chosen names does not count as a use: a stand-in for each
delegates to the real one when called or accessed. Stand-ins work as functions, and as classes in annotations,
in isinstance and as bases; not in ``except``. Chosen names may have preliminary values until then.
"""

import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from importlib.abc import Loader

# Names separated by blanks that are stood in for, or what serves for them until the module is executed.
Names: TypeAlias = str | Mapping[str, object]


def install(modules: Mapping[str, Names]) -> None:
    """Have these modules, by their full names, deferred from now on."""
    sys.meta_path.insert(0, _Finder(modules))


def executed(name: str) -> Any:
    """Return a module, executed."""
    __import__(name)
    module = sys.modules[name]
    _execute(module)
    return module


class LazyModule(ModuleType):
    """A module that is not executed yet; it becomes a plain one."""

    def __getattr__(self, name: str) -> object:
        # Imports look for names like __path__; the others exist from the start.
        if (name.startswith("__") and name != "__all__") or not _execute(self):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)


class _LazyAttribute:
    """A stand-in for a function or class of a module that may not be executed yet."""

    __slots__ = ("_place",)

    def __init__(self, module: ModuleType, name: str) -> None:
        self._place = module, name

    def _real(self) -> Any:
        module, name = self._place
        _execute(module)
        return vars(module)[name]

    def __call__(self, *args: object, **more: object) -> object:
        return self._real()(*args, **more)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # typing and inspect look for their markers
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())

    def __mro_entries__(self, bases: object) -> tuple[type]:
        return (self._real(),)

    def __or__(self, other: object) -> object:
        return self._real() | other

    def __ror__(self, other: object) -> object:
        return other | self._real()


class _Loader:
    """Executes a module as its own loader does, but at its first use."""

    def __init__(self, loader: "Loader", names: Names) -> None:
        self._loader, self._names = loader, names
        self._lock = threading.RLock()
        self._begun = False

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return LazyModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        names = self._names
        vars(module).update(
            {name: _LazyAttribute(module, name) for name in names.split()} if isinstance(names, str) else names
        )

    def execute(self, module: ModuleType) -> bool:
        """Execute a module; return whether it is done, and not still being done by this thread."""
        with self._lock:
            if type(module) is LazyModule:
                if self._begun:
                    return False
                self._begun = True
                try:
                    self._loader.exec_module(module)
                except BaseException:
                    self._begun = False
                    raise
                module.__loader__ = self._loader
                if module.__spec__ is not None:
                    module.__spec__.loader = self._loader
                module.__class__ = ModuleType  # type: ignore[assignment]
        return True


def _execute(module: ModuleType) -> bool:
    loader: object = module.__loader__
    return not isinstance(loader, _Loader) or loader.execute(module)


class _Finder:
    def __init__(self, modules: Mapping[str, Names]) -> None:
        self._modules = modules

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        names = self._modules.get(name)
        spec = None if names is None else PathFinder.find_spec(name, path, target)
        if names is not None and spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, names)  # type: ignore[assignment]  # all that is used of one
        return spec
