"""The packages, judged by Debian's tools; the source package and the wheel; `make deps`, which starts no service."""

import hashlib
import re
import shutil
import unicodedata
from pathlib import Path

import pytest

from tests.programs import output_of, run
from tests.system.host import Host, make_base

pytestmark = pytest.mark.system
ROOT = Path(__file__).parents[2]
# What dpkg, systemd and others keep of a package that was purged.
ALLOWED_TO_STAY = re.compile(
    r"etc/(group|gshadow|passwd|shadow|subgid|subuid|\.pwd\.lock)-?$|etc/systemd/(journald|system)$"
    r"|var/(log|cache|lib/(dpkg|systemd))(/|$)|(run|tmp|var/tmp|root)(/|$)|dev/"
)
POLICY = "/usr/sbin/policy-rc.d"
# A package with a service, in a repository on the host's own disk.
MAKE_A_PACKAGE = """
set -e
mkdir -p /root/repository/loud/DEBIAN /root/repository/loud/usr/lib/systemd/system
cd /root/repository
cat >loud/usr/lib/systemd/system/loud.service <<END
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
END
cat >loud/DEBIAN/control <<END
Package: loud
Version: 1
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: service that starts when it is installed
END
cat >loud/DEBIAN/postinst <<END
#!/bin/sh
systemctl daemon-reload
systemctl enable loud.service
deb-systemd-invoke start loud.service || true
END
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


@pytest.fixture(scope="module")
def unpacked(fleet_debs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of all packages."""
    place = tmp_path_factory.mktemp("unpacked")
    for deb in fleet_debs:
        output_of("dpkg-deb", "-x", deb, place)
    return place


def test_man_pages_fit_a_terminal(unpacked: Path) -> None:
    """In both languages: groff warns of nothing, no line but code is too long, and man-db finds the name."""
    for path in (ROOT / "docs/man").rglob("*.scd"):
        page = unpacked / "usr/share/man" / path.parent.relative_to(ROOT / "docs/man") / f"man{path.stem[-1]}"
        page /= f"{path.stem}.gz"
        done = run("man", "--warnings", "-l", page, env={"LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"})
        shown = done.stdout
        blocks = re.findall(r"```\n(.*?)```", path.read_text(), re.DOTALL)
        code = {line for block in blocks for line in block.splitlines()}
        wide = [line for line in shown.splitlines() if columns(line) > 80 and line.strip() not in code]
        assert wide == [], path
        assert "troff:" not in done.stderr
        assert shown.splitlines()[0].startswith(f"{path.stem[:-2]}({path.stem[-1]}) ")
        assert f'"{path.stem[:-2]} - ' in output_of("lexgrog", page, env={"LC_ALL": "C.UTF-8"})


def columns(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def test_documents_that_texts_name_are_installed(unpacked: Path) -> None:
    named = set()
    for pattern in ("*.md", "docs/**/*.md", "docs/man/**/*.scd", "systemd/*", "debian/*", "wxcontroller/**/*.p[yo]"):
        for path in filter(Path.is_file, ROOT.glob(pattern)):
            text = path.read_text(encoding="utf-8")
            named |= set(re.findall(r"/usr/share/doc/wxcontroller[\w./-]*[A-Za-z0-9]", text, re.ASCII))
    assert len(named) > 5
    assert [name for name in sorted(named) if not (unpacked / name[1:]).exists()] == []


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


def test_purge_removes_all_that_an_installation_adds(fleet_debs: list[Path], tmp_path: Path) -> None:
    """In a tree without a running systemd, as in a container's image."""
    for name in ("up", "work", "root"):
        (tmp_path / name).mkdir()
    root = tmp_path / "root"
    layers = f"lowerdir={make_base()},upperdir={tmp_path}/up,workdir={tmp_path}/work"
    for deb in fleet_debs:
        shutil.copy(deb, tmp_path)
    script = f"""
        mount -t overlay overlay -o {layers} {root}
        mkdir -p {root}/root/debs
        cp {tmp_path}/*.deb {root}/root/debs
        chroot {root} sh -ec 'dpkg -i /root/debs/*.deb
            dpkg --purge {" ".join(deb.name.partition("_")[0] for deb in fleet_debs)}'
    """
    alone = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-euc")
    output_of(*alone, script, env={"LC_ALL": "C.UTF-8"})
    changed = [path.relative_to(tmp_path / "up") for path in (tmp_path / "up").rglob("*") if not path.is_dir()]
    assert [str(path) for path in changed if not ALLOWED_TO_STAY.match(str(path))] == []
    assert any(path.name == "status" for path in changed), "nothing was installed"


def test_release_installs_by_apt_on_a_bare_host(bare_host: Host, released: Path) -> None:
    """As README says, with the checksums verified; then the API responds."""
    for path in released.iterdir():
        bare_host.write(f"/root/release/{path.name}", path.read_bytes())
    bare_host.run("sh", "-c", "cd /root/release && sha256sum --check --strict SHA256SUMS")
    bare_host.run("sh", "-c", "apt-get -qy install /root/release/wxcontroller_*_all.deb")
    status, _, body = bare_host.http("GET", "http://127.0.0.1:2000/openwx/check_client")
    assert (status, b'"code":0' in body) == (200, True), body


def test_autopkgtests_pass(bare_host: Host, debs: list[Path]) -> None:
    """As Debian's infrastructure would run debian/tests, on the host of the test above."""
    # All dependencies are in the tree, and without sources apt need not wait for name servers.
    bare_host.run("sh", "-c", "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")
    for deb in debs:
        bare_host.write(f"/root/debs/{deb.name}", deb.read_bytes())
    for path in (ROOT / "debian/tests").iterdir():
        # The host is not a machine of its own, and autopkgtest's "null" does not know that it is as good.
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
    assert "http://127.0.0.1:9 can't be reached" in output
    assert "ended with 3" in output


@pytest.fixture
def loud(bare_host: Host) -> Host:
    """The host of the tests above, on which the package is not installed."""
    bare_host.run("sh", "-c", MAKE_A_PACKAGE)
    bare_host.run("apt-get", "-qy", "purge", "loud", check=False)
    bare_host.write("/root/deps", (ROOT / "tests/system/deps").read_bytes(), 0o755)
    return bare_host


def is_running(host: Host) -> bool:
    return host.text("systemctl", "is-active", "loud.service", check=False).strip() == "active"


def test_services_of_installed_packages_are_not_started(loud: Host) -> None:
    loud.run("/root/deps", "loud")
    assert "installed" in loud.text("dpkg-query", "-W", "-f", "${db:Status-Status}", "loud")
    assert not is_running(loud)
    assert loud.run("test", "-e", POLICY, check=False).returncode == 1
    loud.run("apt-get", "-qy", "install", "--reinstall", "loud")
    assert is_running(loud), "without the policy it starts: the test can fail"
    loud.run("systemctl", "stop", "loud.service")


def test_policy_of_the_administrator_is_restored(loud: Host) -> None:
    own = b"#!/bin/sh\nexit 0\n"
    loud.write(POLICY, own, 0o755)
    assert loud.run("/root/deps", "loud", "no-such-package", check=False).returncode != 0
    assert loud.read(POLICY) == own
    loud.run("/root/deps", "loud")
    assert not is_running(loud)
    assert loud.read(POLICY) == own
    loud.run("rm", POLICY)
