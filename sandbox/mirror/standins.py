"""Packages that the pinned root lacks: written here or taken from Debian; each says so in its description."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from pathlib import Path

from sandbox.mirror.debian import LOADER, LOADER_PLACE, MULTIARCH, DebianRoot
from sandbox.mirror.errors import MirrorError
from sandbox.mirror.package import Directory, Entry, FileOwner, Package, PackageFile, Symlink, with_parents
from sandbox.mirror.tinycloud import NOTE, VERSION, core_files, service_files, yx_files

FILES = Path(__file__).with_name("files")
BUILD_DATE = 1_767_225_600  # 2026-01-01 UTC: a fixed date, so that the same inputs give the same packages
LIBRARIES = "fixture-debian-libs"
_APK_LIBRARIES = ("libapk.so.*", "libcrypto.so.*", "libssl.so.*", "libz.so.*")
_MENU_MODULES = ("ldlinux.c32", "libcom32.c32", "libutil.c32", "menu.c32")
_SSHD, _KEYGEN, _SSH, _SFTP = "usr/sbin/sshd", "usr/bin/ssh-keygen", "usr/bin/ssh", "usr/lib/openssh/sftp-server"
_EXTLINUX = "usr/bin/extlinux"
_MTOOLS = "usr/bin/mtools"
_GCONV = f"usr/{MULTIARCH}/gconv"
# as upstream's grub has them, but for helpers that need further libraries
_GRUB_PROGRAMS = (
    "usr/bin/grub-editenv",
    "usr/bin/grub-file",
    "usr/bin/grub-mkimage",
    "usr/bin/grub-mkrelpath",
    "usr/bin/grub-script-check",
    "usr/sbin/grub-install",
    "usr/sbin/grub-probe",
)
_GRUB_SCRIPTS = ("usr/sbin/grub-mkconfig", "usr/sbin/grub-reboot", "usr/sbin/grub-set-default")
_GRUB_MENU = ("etc/grub.d/00_header", "etc/grub.d/30_uefi-firmware", "etc/grub.d/40_custom")
_GRUB_EFI = "usr/lib/grub/x86_64-efi"
_CHRONYD = "usr/sbin/chronyd"
_NGINX = "usr/sbin/nginx"
_DOAS, _PAM_PERMIT = "usr/bin/doas", f"{MULTIARCH}/security/pam_permit.so"
_OFTEN_THERE = (_EXTLINUX, _MTOOLS, *_GRUB_PROGRAMS, _SSHD, _KEYGEN, _SSH, _SFTP, _DOAS, _PAM_PERMIT)
_ZONES = "usr/share/zoneinfo"
_OTHER_ZONES = ("posix/", "right/")  # the same zones again, and those that count leap seconds


def stand_ins(root: Path, installed: tuple[Package, ...], debian: DebianRoot) -> tuple[Package, ...]:
    """The packages to add to those re-created from `root`."""
    versions = {package.name: package.version for package in installed}
    return (
        _mdev(versions["busybox"]),
        _apk_static(root, versions["apk-tools"]),
        _debian_libraries(debian),
        _syslinux(debian),
        *_grub(debian),
        _mtools(debian),
        *_openssh(debian),
        _doas(debian),
        _chrony(debian),
        _nginx(debian),
        _tzdata(debian),
        *_tiny_cloud(),
    )


def alpine_base(release: str) -> Package:
    """The meta package that makes a minimal root; upstream's also wants alpine-conf and busybox-suid."""
    return _stand_in(
        "alpine-base",
        f"{release}-r0",
        "Meta package for minimal alpine base (fixture: without alpine-conf and busybox-suid)",
        depends=(
            "alpine-baselayout",
            "alpine-keys",
            "alpine-release",
            "apk-tools",
            "busybox",
            "busybox-mdev-openrc",
            "busybox-openrc",
            "musl-utils",
            "openrc",
        ),
    )


def _stand_in(
    name: str,
    version: str,
    description: str,
    *,
    files: tuple[Entry, ...] = (),
    depends: tuple[str, ...] = (),
    provides: tuple[str, ...] = (),
    origin: str = "",
    install_if: str = "",
    triggers: str = "",
    scripts: dict[str, bytes] | None = None,
) -> Package:
    return Package(
        name=name,
        version=version,
        description=description,
        url="https://alpinelinux.org/",
        license="various",
        origin=origin or name,
        maintainer="fixture mirror of the local cloud",
        build_date=BUILD_DATE,
        depends=depends,
        provides=provides,
        install_if=install_if,
        triggers=triggers,
        scripts=scripts or {},
        entries=with_parents(files),
    )


def _text(name: str) -> bytes:
    return (FILES / name).read_bytes()


def _mdev(busybox: str) -> Package:
    return _stand_in(
        "busybox-mdev-openrc",
        busybox,
        "busybox mdev OpenRC service (fixture stand-in, not Alpine's)",
        files=(PackageFile("etc/init.d/mdev", _text("mdev.initd"), 0o755),),
        depends=("mdev-conf", "openrc"),
        origin="busybox",
    )


def _apk_static(root: Path, version: str) -> Package:
    """apk, its loader and its libraries in one self-unpacking file at `sbin/apk.static`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, path in _apk_members(root).items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = path.stat().st_size, 0o755, BUILD_DATE
            archive.addfile(info, io.BytesIO(path.read_bytes()))
    return _stand_in(
        "apk-tools-static",
        version,
        "Alpine Package Keeper - static binary (fixture stand-in: a self-unpacking file)",
        files=(
            PackageFile("sbin/apk.static", _text("apk.static.sh") + gzip.compress(buffer.getvalue(), mtime=0), 0o755),
        ),
        origin="apk-tools",
    )


def _apk_members(root: Path) -> dict[str, Path]:
    members = {"apk": root / "sbin/apk", "loader": root / "lib/ld-musl-x86_64.so.1"}
    for pattern in _APK_LIBRARIES:
        found = sorted(
            path for path in (root / "usr/lib").glob(pattern) if re.fullmatch(r".*\.so\.\d+(\.0\.0)?", path.name)
        )
        if not found:
            raise MirrorError(f"the pinned image has no usr/lib/{pattern}: the image is not as pinned")
        members |= {path.name: path.resolve() for path in found}
    return members


def _libraries(debian: DebianRoot, programs: tuple[str, ...]) -> tuple[PackageFile, ...]:
    libraries = debian.libraries(programs)
    return tuple(PackageFile(f"{MULTIARCH}/{name}", data, 0o755) for name, data in libraries.items())


def _own_libraries(debian: DebianRoot, program: str) -> tuple[PackageFile, ...]:
    """The libraries that no other program of this mirror needs."""
    own = set(_libraries(debian, (program,))) - set(_libraries(debian, _OFTEN_THERE))
    return tuple(sorted(own, key=lambda file: file.path))


def _debian_libraries(debian: DebianRoot) -> Package:
    files = _libraries(debian, _OFTEN_THERE)
    return _stand_in(
        LIBRARIES,
        "12-r0",
        "glibc's loader and the libraries of the Debian programs in this fixture mirror",
        files=(PackageFile(LOADER_PLACE, debian.read(LOADER), 0o755), *files),
    )


def _syslinux(debian: DebianRoot) -> Package:
    modules = tuple(
        PackageFile(f"usr/share/syslinux/{name}", debian.read(f"usr/lib/syslinux/modules/bios/{name}"))
        for name in _MENU_MODULES
    )
    return _stand_in(
        "syslinux",
        "6.04_pre1-r99",
        "Boot loader for ext4 disks (fixture stand-in: Debian's extlinux)",
        files=(
            PackageFile("sbin/extlinux", debian.read(_EXTLINUX), 0o755),
            PackageFile("sbin/update-extlinux", _text("update-extlinux.sh"), 0o755),
            PackageFile("etc/update-extlinux.conf", _text("update-extlinux.conf")),
            Directory("etc/update-extlinux.d"),
            PackageFile("usr/share/syslinux/gptmbr.bin", debian.read("usr/lib/syslinux/mbr/gptmbr.bin")),
            *modules,
        ),
        depends=(LIBRARIES, "mkinitfs"),
        triggers="/boot",
        scripts={"trigger": _text("update-extlinux.trigger")},
    )


def _grub(debian: DebianRoot) -> tuple[Package, ...]:
    """GRUB and its part for UEFI; upstream's trigger and menu, as far as one kernel on ext4 needs them."""
    version, note = "2.06-r99", "(fixture stand-in: Debian's)"
    common = _stand_in(
        "grub",
        version,
        f"Bootloader with support for Linux, Multiboot and more {note}",
        files=(
            *(_program(debian, path) for path in (*_GRUB_PROGRAMS, *_GRUB_SCRIPTS, *_GRUB_MENU)),
            PackageFile("etc/grub.d/10_linux", _text("grub-linux.sh"), 0o755),
            PackageFile("etc/default/grub", _text("grub.default")),
            PackageFile("usr/sbin/update-grub", _text("update-grub.sh"), 0o755),
            PackageFile("usr/share/grub/grub-mkconfig_lib", debian.read("usr/share/grub/grub-mkconfig_lib")),
        ),
        depends=(LIBRARIES, "mkinitfs"),
        triggers="/boot",
        scripts={"trigger": _text("update-grub.trigger")},
    )
    efi = _stand_in(
        "grub-efi",
        version,
        f"Bootloader with support for Linux, Multiboot and more (EFI version) {note}",
        files=tuple(
            PackageFile(path, debian.read(path)) for path in debian.list(_GRUB_EFI, (".mod", ".lst", ".img", ".sh"))
        ),
        depends=("grub",),
        origin="grub",
    )
    return common, efi


def _mtools(debian: DebianRoot) -> Package:
    links = tuple(Symlink(f"usr/bin/{name}", "mtools") for name in ("mcopy", "mdir", "mformat", "minfo", "mmd"))
    return _stand_in(
        "mtools",
        "4.0.32-r99",
        "Utilities to access MS-DOS disks without mounting (fixture stand-in: Debian's)",
        files=(
            _program(debian, _MTOOLS),
            *links,
            PackageFile(f"{_GCONV}/IBM850.so", debian.read(f"{_GCONV}/IBM850.so"), 0o755),
            PackageFile(f"{_GCONV}/gconv-modules", _text("gconv-modules")),
        ),
        depends=(LIBRARIES,),
    )


def _openssh(debian: DebianRoot) -> tuple[Package, ...]:
    version, note = "9.2_p1-r99", "(fixture stand-in: Debian's)"

    def part(name: str, what: str, files: tuple[Entry, ...], *depends: str) -> Package:
        return _stand_in(name, version, f"{what} {note}", files=files, depends=(LIBRARIES, *depends), origin="openssh")

    return (
        part("openssh-keygen", "ssh helper program for generating keys", (_program(debian, _KEYGEN),)),
        part("openssh-client-default", "OpenBSD's SSH client", (_program(debian, _SSH),)),
        part(
            "openssh-sftp-server",
            "ssh sftp-server module",
            (PackageFile("usr/lib/ssh/sftp-server", debian.read(_SFTP), 0o755),),
        ),
        part(
            "openssh-server",
            "OpenSSH server",
            (
                _program(debian, _SSHD),
                PackageFile("etc/init.d/sshd", _text("sshd.initd"), 0o755),
                PackageFile("etc/conf.d/sshd", _text("sshd.confd")),
                PackageFile("etc/ssh/sshd_config", _text("sshd_config")),
                Directory("etc/ssh/sshd_config.d"),
            ),
            "openssh-keygen",
        ),
        part("openssh", "Port of OpenBSD's free SSH release", (), *_OPENSSH_PARTS),
    )


def _doas(debian: DebianRoot) -> Package:
    """Debian's reads /etc/doas.conf alone, Alpine's the files of /etc/doas.d."""
    return _stand_in(
        "doas",
        "6.8.2-r99",
        "OpenBSD's doas (fixture stand-in: Debian's, which reads no file of /etc/doas.d but wheel.conf)",
        files=(
            PackageFile(_DOAS, debian.read(_DOAS), 0o4755),
            PackageFile(_PAM_PERMIT, debian.read(_PAM_PERMIT), 0o755),
            PackageFile("etc/pam.d/doas", _text("doas.pam")),
            Directory("etc/doas.d", 0o750),
            Symlink("etc/doas.conf", "doas.d/wheel.conf"),
        ),
        depends=(LIBRARIES,),
    )


def _chrony(debian: DebianRoot) -> Package:
    owner = FileOwner(100, 101, "chrony", "chrony")  # by name; apk looks the numbers up in the image
    return _stand_in(
        "chrony",
        "4.3-r99",
        "NTP client and server programs (fixture stand-in: Debian's daemon)",
        files=(
            _program(debian, _CHRONYD),
            *_own_libraries(debian, _CHRONYD),
            PackageFile("etc/init.d/chronyd", _text("chronyd.initd"), 0o755),
            PackageFile("etc/chrony/chrony.conf", _text("chrony.conf")),
            Directory("var/lib/chrony", 0o755, owner),
            Directory("var/log/chrony", 0o755, owner),
        ),
        depends=(LIBRARIES,),
        scripts={"pre-install": _text("chrony.pre-install")},
    )


def _nginx(debian: DebianRoot) -> Package:
    """Debian's program in the layout of Alpine's package: sites in http.d, a user and a group nginx."""
    owner = FileOwner(100, 101, "nginx", "nginx")  # by name, as above
    return _stand_in(
        "nginx",
        "1.22.1-r99",
        "HTTP and reverse proxy server (fixture stand-in: Debian's program)",
        files=(
            _program(debian, _NGINX),
            *_own_libraries(debian, _NGINX),
            PackageFile("etc/init.d/nginx", _text("nginx.initd"), 0o755),
            PackageFile("etc/nginx/nginx.conf", _text("nginx.conf")),
            PackageFile("etc/nginx/http.d/default.conf", _text("nginx-default.conf")),
            PackageFile("etc/nginx/mime.types", debian.read("etc/nginx/mime.types")),
            Directory("var/lib/nginx", 0o750, owner),
            Directory("var/log/nginx", 0o755, owner),
            Directory("var/www/localhost/htdocs"),
        ),
        depends=(LIBRARIES,),
        scripts={"pre-install": _text("nginx.pre-install")},
    )


def _tzdata(debian: DebianRoot) -> Package:
    zones = debian.files(_ZONES)
    return _stand_in(
        "tzdata",
        "2026-r99",
        "Timezone data (fixture stand-in: Debian's)",
        files=tuple(
            PackageFile(f"{_ZONES}/{name}", data) for name, data in zones.items() if not name.startswith(_OTHER_ZONES)
        ),
    )


_OPENSSH_PARTS = ("openssh-client-default", "openssh-keygen", "openssh-server", "openssh-sftp-server")


def _tiny_cloud() -> tuple[Package, ...]:
    return (
        _stand_in("yx", "1.0.2-r99", f"YAML data extraction tool {NOTE}", files=yx_files()),
        _stand_in(
            "tiny-cloud",
            VERSION,
            f"Tiny Cloud instance bootstrapper {NOTE}",
            files=core_files(),
            depends=("e2fsprogs-extra", "partx", "sfdisk", "yx"),
        ),
        _stand_in(
            "tiny-cloud-openrc",
            VERSION,
            f"Tiny Cloud instance bootstrapper (OpenRC init scripts) {NOTE}",
            files=service_files(),
            depends=("openrc",),
            origin="tiny-cloud",
            install_if=f"openrc tiny-cloud={VERSION}",
        ),
    )


def _program(debian: DebianRoot, path: str) -> PackageFile:
    return PackageFile(path, debian.read(path), 0o755)
