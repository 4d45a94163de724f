"""What pyproject.toml cannot say: the catalogs are compiled into the package."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

sys.path.insert(0, str(Path(__file__).parent))  # pip does not look for modules here
from catalogs import PACKAGE, compile_catalogs


class WithCatalogs(build_py):
    """The modules, and .mo files beside where their .po files are."""

    def run(self) -> None:
        super().run()
        compile_catalogs(Path(self.build_lib) / PACKAGE)


setup(cmdclass={"build_py": WithCatalogs})
