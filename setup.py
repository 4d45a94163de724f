"""What pyproject.toml can't say: the page's catalogs are compiled into the package, by the msgfmt of gettext."""

import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithCatalogs(build_py):
    """The modules, and .mo files beside where their .po files are."""

    def run(self) -> None:
        super().run()
        for source in sorted(Path("wxcontroller").rglob("locale/*/LC_MESSAGES/*.po")):
            target = Path(self.build_lib) / source.with_suffix(".mo")
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["msgfmt", "--check", "-o", target, source], check=True)


setup(cmdclass={"build_py": WithCatalogs})
