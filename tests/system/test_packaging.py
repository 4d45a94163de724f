"""The packages by the tools of Debian's archive: lintian, piuparts, autopkgtest, a second build; and a wheel."""

import hashlib
import os
import re
import subprocess
import unicodedata
from pathlib import Path

import pytest

from tests.system.host import Host, make_base

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
TESTS = re.findall(r"^Tests: (\S+)$", (ROOT / "debian/tests/control").read_text(), re.MULTILINE)


def run(*command: "str | Path", **environment: str) -> str:
    """Run a command that must succeed; return all it says."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def test_lintian_has_nothing_to_say_at_its_most_pedantic(bare_host: Host, fleet_debs: list[Path]) -> None:
    [changes] = fleet_debs[0].parent.glob("*.changes")
    for path in (changes, *changes.parent.glob("*.buildinfo"), *fleet_debs):
        bare_host.write(f"/root/built/{path.name}", path.read_bytes())
    options = ("--pedantic", "--display-info", "--display-experimental", "--allow-root")
    told = bare_host.text("lintian", *options, f"/root/built/{changes.name}")
    assert [line for line in told.splitlines() if re.match(r"[EWIPX]:", line)] == []


def test_man_pages_fit_a_terminal(debs: list[Path], tmp_path: Path) -> None:
    """In both languages: groff warns of nothing, no line but those of code is too long, and man-db finds the name."""
    for deb in debs:
        run("dpkg-deb", "-x", deb, tmp_path)
    sources = {path.relative_to(ROOT / "docs/man"): path.read_text() for path in (ROOT / "docs/man").rglob("*.scd")}
    for name, source in sources.items():
        page = tmp_path / "usr/share/man" / name.parent / f"man{name.stem[-1]}" / f"{name.stem}.gz"
        shown = run("man", "--warnings", "-l", page, LC_ALL="C.UTF-8", MANWIDTH="80", MANPAGER="cat")
        code = {line for block in re.findall(r"```\n(.*?)```", source, re.DOTALL) for line in block.splitlines()}
        wide = [line for line in shown.splitlines() if columns(line) > 80 and line.strip() not in code]
        assert wide == [], name
        assert "troff:" not in shown
        assert shown.splitlines()[0].startswith(f"{name.stem[:-2]}({name.stem[-1]}) ")
        assert f'"{name.stem[:-2]} - ' in run("lexgrog", page, LC_ALL="C.UTF-8")


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def test_documents_that_are_named_are_installed_by_that_name(debs: list[Path], tmp_path: Path) -> None:
    """In documents and man pages of both languages, in units and in what the programs say."""
    for deb in debs:
        run("dpkg-deb", "-x", deb, tmp_path)
    named = set()
    for pattern in ("*.md", "docs/**/*.md", "docs/man/**/*.scd", "systemd/*", "debian/*", "wxcontroller/**/*.p[yo]"):
        for path in filter(Path.is_file, ROOT.glob(pattern)):
            text = path.read_text(encoding="utf-8")
            named |= set(re.findall(r"/usr/share/doc/wxcontroller[\w./-]*[A-Za-z0-9]", text, re.ASCII))
    assert len(named) > 5
    assert [name for name in sorted(named) if not (tmp_path / name[1:]).exists()] == []


def test_two_builds_are_equal_byte_by_byte(fleet_debs: list[Path], tmp_path: Path) -> None:
    place = tmp_path / "again"
    other = {"TZ": "Pacific/Auckland", "LANG": "zh_CN.UTF-8", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    run("sh", "-c", f"umask 027 && exec tests/system/build-debs {place}", **other)
    first = {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in fleet_debs}
    assert {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in place.glob("*.deb")} == first


def test_piuparts_installs_and_purges(fleet_debs: list[Path], tmp_path: Path) -> None:
    """In a tree without systemd running; what is there afterwards is what was there before."""
    # What they depend on is in the tree: without sources apt fetches and reads no list of all packages.
    offline = tmp_path / "scripts/post_chroot_unpack_offline"
    offline.parent.mkdir()
    offline.write_text("#!/bin/sh\nrm -rf /etc/apt/sources.list*\n")
    offline.chmod(0o755)
    command = ["piuparts", "-d", "trixie", "-e", str(make_base()), "--keep-sources-list", "--no-upgrade-test"]
    command += ["--no-eatmydata", f"--scriptsdir={offline.parent}", "-t", str(tmp_path), *map(str, fleet_debs)]
    assert "PASS: All tests." in run(*command)


@pytest.fixture(scope="module")
def results(bare_host: Host, debs: list[Path]) -> dict[str, str]:
    """Run debian/tests in a booted host; return how each ended."""
    for deb in debs:
        bare_host.write(f"/root/debs/{deb.name}", deb.read_bytes())
    for path in (ROOT / "debian/tests").iterdir():
        # The host is no machine, and what autopkgtest calls "null" knows nothing of it being as good as one.
        content = path.read_bytes().replace(b"isolation-machine, ", b"")
        bare_host.write(f"/root/source/debian/tests/{path.name}", content, path.stat().st_mode & 0o777)
    command = ["autopkgtest", "-B", *(f"/root/debs/{deb.name}" for deb in debs), "/root/source"]
    done = bare_host.run(*command, "--output-dir=/root/out", "--", "null", check=False, timeout=600)
    said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    print(said)
    return dict(re.findall(r"^(\S+) +(PASS|FAIL.*|SKIP.*|FLAKY.*)$", said, re.MULTILINE))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TESTS)
def test_autopkgtest(results: dict[str, str], name: str) -> None:
    assert results.get(name) == "PASS"


OFFLINE = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def released(debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `make release` fills."""
    place = tmp_path_factory.mktemp("released") / "release"
    run("tests/system/release", place)
    return place


@pytest.fixture(scope="module")
def wheel(released: Path) -> Path:
    [made] = released.glob("wxcontroller-*-py3-none-any.whl")
    return made


def test_release_installs_by_apt_on_a_bare_host(bare_host: Host, released: Path) -> None:
    """As a reader of README does who has downloaded it: checked, installed, and the API answers."""
    for path in released.iterdir():
        bare_host.write(f"/root/release/{path.name}", path.read_bytes())
    bare_host.run("sh", "-c", "cd /root/release && sha256sum --check --strict SHA256SUMS")
    bare_host.run("sh", "-c", "apt-get -qy install /root/release/wxcontroller_*_all.deb")
    status, _, body = bare_host.http("GET", "http://127.0.0.1:2000/openwx/check_client")
    assert (status, b'"code":0' in body) == (200, True), body
    bare_host.run("apt-get", "-qy", "purge", "wxcontroller")


def test_source_package_of_a_release_has_the_sources(released: Path, tmp_path: Path) -> None:
    [source] = released.glob("*.dsc")
    run("dpkg-source", "--no-check", "-x", source, tmp_path / "tree")
    listed = (
        run("git", "ls-files", "-z", "--", "wxcontroller", "tests", "debian", "Makefile").rstrip("\0").split("\0")
    )
    assert [name for name in listed if (ROOT / name).is_file() and not (tmp_path / "tree" / name).is_file()] == []


def test_a_wheel_is_made_and_works(wheel: Path, tmp_path: Path) -> None:
    """For those who have no Debian: with Debian's own packages as its dependencies here, to need no network."""
    run("/usr/bin/python3", "-m", "venv", "--system-site-packages", tmp_path / "venv")
    run(tmp_path / "venv/bin/python", "-m", "pip", "install", *OFFLINE[:2], wheel)
    for command in ("wxctl", "wxcontroller", "wxclient", "wxsandbox"):
        assert "Usage" in run(tmp_path / "venv/bin" / command, "--help").replace("usage", "Usage")
    shipped = set(re.findall(r"wxcontroller/\S+", run("unzip", "-Z1", wheel)))
    names = run("git", "ls-files", "wxcontroller").splitlines()
    sources = {re.sub(r"\.po$", ".mo", name) for name in names if name.startswith("wxcontroller/")}
    assert sources - shipped == set()


def test_wxctl_of_the_wheel_needs_nothing_of_systemds(wheel: Path, tmp_path: Path) -> None:
    """On another machine nothing is compiled: what of its dependencies has no wheel is for the services alone."""
    wanted = re.findall(r"^Requires-Dist: ([\w-]+)(.*)$", run("unzip", "-p", wheel, "*/METADATA"), re.MULTILINE)
    assert [more.split(";")[1].strip() for name, more in wanted if name == "systemd-python"] == ['extra == "service"']
    needed = {name for name, more in wanted if "extra" not in more}
    run("/usr/bin/python3", "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", *OFFLINE[:2], wheel)
    # In place of downloads: what Debian has of them, without systemd's.
    [site] = (tmp_path / "venv/lib").glob("python3*/site-packages")
    for package in Path("/usr/lib/python3/dist-packages").iterdir():
        if not package.name.startswith(("systemd", "pip", "setuptools", "wxcontroller")):
            (site / package.name).symlink_to(package)
    assert "ModuleNotFoundError" in run("sh", "-c", f"{python} -I -c 'import systemd' 2>&1 || true")
    assert needed >= {"click", "rich", "segno"}
    for name in needed:
        run(python, "-I", "-c", f"import importlib.metadata as found; found.version({name!r})")
    wxctl = tmp_path / "venv/bin/wxctl"
    assert "Usage" in run(wxctl, "--help")
    said = run("sh", "-c", f"{wxctl} --url http://127.0.0.1:9 list; echo ended with $?", JOURNAL_STREAM="8:1")
    assert "http://127.0.0.1:9 can't be reached" in said
    assert "ended with 3" in said
