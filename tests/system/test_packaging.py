"""The packages, checked by Debian's tools; the source package and the wheel; `make deps` and `make run`.

What takes long and hardly ever breaks is left to a release.
"""

import hashlib
import os
import re
import sys
from pathlib import Path

import pytest

from tests.programs import output_of, run
from tests.system.host import Host

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
POLICY = "/usr/sbin/policy-rc.d"
# A package that starts a service when it is installed, in a repository on the host's own disk.
MAKE_A_PACKAGE = """
set -e
mkdir -p /root/repository/loud/DEBIAN
cd /root/repository
cat >loud/DEBIAN/control <<END
Package: loud
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: starts nginx when it is installed
END
printf '#!/bin/sh\\nsystemctl enable nginx\\ndeb-systemd-invoke start nginx || true\\n' >loud/DEBIAN/postinst
chmod 755 loud/DEBIAN/postinst
dpkg-deb -b loud .
dpkg-scanpackages -m . >Packages
echo 'deb [trusted=yes] file:/root/repository ./' >/etc/apt/sources.list.d/here.list
"""


@pytest.fixture(scope="module")
def released(debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that `make release` fills."""
    place = tmp_path_factory.mktemp("released") / "release"
    output_of("tests/system/release", place)
    return place


@pytest.mark.release
def test_source_package_builds_the_same_packages(released: Path, fleet_debs: list[Path], tmp_path: Path) -> None:
    """Byte by byte, in another place, time zone, language and umask."""
    [source] = released.glob("*.dsc")
    tree = tmp_path / "tree"
    output_of("dpkg-source", "--no-check", "-x", source, tree)
    listed = output_of("git", "ls-files", "-z", "--", "wxcontroller", "tests", "debian", "Makefile").split("\0")
    assert [name for name in listed if name and (ROOT / name).is_file() and not (tree / name).is_file()] == []
    here = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    other = {**here, "TZ": "Pacific/Auckland", "LANG": "zh_CN.UTF-8"}
    # Without LC_ALL, which would win over LANG.
    build = f"unset LC_ALL; umask 027 && cd {tree} && exec dpkg-buildpackage -d -us -uc -b"
    output_of("sh", "-c", build, env=other)
    built = {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in tmp_path.glob("*.deb")}
    assert built == {deb.name: hashlib.sha256(deb.read_bytes()).hexdigest() for deb in fleet_debs}


def test_release_installs_by_apt_on_a_bare_host(bare_host: Host, released: Path) -> None:
    """As README says, with the checksums verified; then the API responds."""
    for path in released.iterdir():
        bare_host.write(f"/root/release/{path.name}", path.read_bytes())
    bare_host.run("sh", "-c", "cd /root/release && sha256sum --check --strict SHA256SUMS")
    bare_host.run("sh", "-c", "apt-get -qy install /root/release/wxcontroller_*_all.deb")
    status, _, body = bare_host.http("GET", "http://127.0.0.1:2000/openwx/check_client")
    assert (status, b'"code":0' in body) == (200, True), body


@pytest.mark.release
def test_autopkgtests_pass(bare_host: Host, debs: list[Path]) -> None:
    """As Debian's infrastructure would run debian/tests, on the host of the test above."""
    # All dependencies are in the tree, and without sources apt need not wait for name servers.
    bare_host.run("sh", "-c", "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")
    for deb in debs:
        bare_host.write(f"/root/debs/{deb.name}", deb.read_bytes())
    for path in (ROOT / "debian/tests").iterdir():
        # autopkgtest's "null" does not offer a machine of its own, but this host serves as one.
        content = path.read_bytes().replace(b"isolation-machine, ", b"")
        bare_host.write(f"/root/source/debian/tests/{path.name}", content, path.stat().st_mode & 0o777)
    command = ["autopkgtest", "-B", *(f"/root/debs/{deb.name}" for deb in debs), "/root/source", "--", "null"]
    done = bare_host.run(*command, check=False, timeout=300)
    output = (done.stdout + done.stderr).decode(errors="replace")
    tests = re.findall(r"^Tests: (\S+)$", (ROOT / "debian/tests/control").read_text(), re.MULTILINE)
    results = dict(re.findall(r"^(\S+) +(PASS|FAIL.*|SKIP.*|FLAKY.*)$", output, re.MULTILINE))
    assert results == dict.fromkeys(tests, "PASS"), output


def test_pedantic_lintian_reports_nothing(bare_host: Host, fleet_debs: list[Path]) -> None:
    [changes] = fleet_debs[0].parent.glob("*.changes")
    for path in (changes, *changes.parent.glob("*.buildinfo"), *fleet_debs):
        bare_host.write(f"/root/built/{path.name}", path.read_bytes())
    options = ("--pedantic", "--display-info", "--display-experimental", "--allow-root")
    output = bare_host.text("lintian", *options, f"/root/built/{changes.name}")
    assert [line for line in output.splitlines() if re.match(r"[EWIPX]:", line)] == []


def test_wheel_has_all_sources_and_its_wxctl_needs_no_systemd(released: Path, tmp_path: Path) -> None:
    """On other systems, where nothing is compiled: only the services need the dependency that has no wheel."""
    [wheel] = released.glob("wxcontroller-*-py3-none-any.whl")
    shipped = set(re.findall(r"wxcontroller/\S+", output_of("unzip", "-Z1", wheel)))
    sources = {re.sub(r"\.po$", ".mo", name) for name in output_of("git", "ls-files", "wxcontroller").splitlines()}
    assert sources - shipped == set()
    wanted = re.findall(r"^Requires-Dist: ([\w-]+)(.*)$", output_of("unzip", "-p", wheel, "*/METADATA"), re.MULTILINE)
    assert [more.split(";")[1].strip() for name, more in wanted if name == "systemd-python"] == ['extra == "service"']
    output_of("/usr/bin/python3", "-m", "venv", tmp_path / "venv")
    python, wxctl = tmp_path / "venv/bin/python", tmp_path / "venv/bin/wxctl"
    offline = ("--no-deps", "--no-index", "--quiet", "--disable-pip-version-check")
    output_of(python, "-m", "pip", "install", *offline, wheel)
    # In place of downloads: Debian's packages, without systemd's.
    [site] = (tmp_path / "venv/lib").glob("python3*/site-packages")
    for package in Path("/usr/lib/python3/dist-packages").iterdir():
        if not package.name.startswith(("systemd", "pip", "setuptools", "wxcontroller")):
            (site / package.name).symlink_to(package)
    needed = [name for name, more in wanted if "extra" not in more]
    assert {*needed} >= {"click", "rich", "segno"}
    check = f"import importlib.metadata as m; [m.version(name) for name in {needed!r}]; import systemd"
    assert "No module named 'systemd'" in output_of("sh", "-c", f'{python} -I -c "{check}" 2>&1 || true')
    command = f"{wxctl} --url http://127.0.0.1:9 list 2>&1; echo ended with $?"
    output = output_of("sh", "-c", command, env={"JOURNAL_STREAM": "8:1"})
    assert "http://127.0.0.1:9 cannot be reached" in output
    assert "ended with 3" in output


def test_make_deps_starts_no_service_and_restores_the_policy(bare_host: Host) -> None:
    own = b"#!/bin/sh\nexit 0\n"
    bare_host.run("sh", "-c", MAKE_A_PACKAGE)
    bare_host.write("/root/deps", (ROOT / "tests/system/deps").read_bytes(), 0o755)
    bare_host.write(POLICY, own, 0o755)
    assert bare_host.run("/root/deps", "loud", "no-such-package", check=False).returncode != 0
    assert bare_host.read(POLICY) == own
    bare_host.run("/root/deps", "loud")
    is_active = ("systemctl", "is-active", "nginx")
    assert bare_host.run(*is_active, check=False).returncode != 0
    assert bare_host.read(POLICY) == own
    bare_host.run("apt-get", "-qy", "install", "--reinstall", "loud")
    assert bare_host.run(*is_active, check=False).returncode == 0, "without deps it is started"


def test_make_run_succeeds_and_removes_its_host(debs: list[Path]) -> None:
    name = f"wxwalk-{os.getpid()}"
    printed = output_of(sys.executable, "-m", "tests.system.walkthrough", "--exit", "--name", name, *debs)
    for sentence in ("webhook got: login [1]", "→ running: logged in as", "running again after", "webhook got: stop"):
        assert sentence in printed, printed
    assert name not in Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize("proc", ["", "mount -t proc proc {0}/proc; "], ids=["bare", "proc"])
def test_make_run_says_in_one_line_that_a_chroot_is_not_enough(proc: str, debs: list[Path], tmp_path: Path) -> None:
    inside = f"cd {ROOT} && exec /usr/bin/python3 -m tests.system.walkthrough --exit {debs[0]}"
    script = "mount --bind / {0}; mount --bind /dev {0}/dev; " + proc + "exec chroot {0} sh -c '{1}'"
    command = ("unshare", "--mount", "sh", "-ec", script.format(tmp_path, inside))
    done = run(*command, env={"TESTHOST_DIR": str(tmp_path)})
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    assert "cannot boot in a chroot" in done.stdout.splitlines()[-1]
