"""What the initramfs's init does, with a busybox that only notes what it was asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.guest.shell import GUEST

UUID = "UUID=2a9de81e-d97c-4e67-8368-96f1970881ea"
OPTIONS = f"BOOT_IMAGE=vmlinuz-virt root={UUID} modules=ext4,virtio_blk console=tty0 console=ttyS0,115200n8 initrd=x"
BUSYBOX = """\
#!/bin/sh
echo "$*" >> {folder}/calls
case "$1" in
tr | cat | sort) exec "$@" ;;
mount)
	case "$*" in
	"mount -a") cat {folder}/fstab >> {folder}/mounted ;;
	*" /sysroot") [ "$(grep -c '^mount .* /sysroot$' {folder}/calls)" -gt {misses} ] ;;
	esac
	;;
esac
"""


def run_init(folder: Path, options: str, misses: int) -> tuple[list[str], str]:
    """The calls of busybox and what was said; the root is found when it was missed so many times."""
    busybox = folder / "busybox"
    busybox.write_text(BUSYBOX.format(folder=folder, misses=misses))
    busybox.chmod(0o755)
    (folder / "cmdline").write_text(options + "\n")
    device = folder / "bus/virtio/devices/virtio0"
    device.mkdir(parents=True)
    (device / "modalias").write_text("virtio:d00000008v00001AF4\n")
    text = (GUEST / "files/initramfs-init").read_text()
    (folder / "printk").write_text("4 4 1 7\n")
    places = {
        "/bin/busybox": busybox,
        "/proc/cmdline": folder / "cmdline",
        "/sys/bus": folder / "bus",
        "/proc/sys/kernel/printk": folder / "printk",
        "/etc/fstab": folder / "fstab",
    }
    for name, here in places.items():
        assert name in text
        text = text.replace(name, str(here))
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert (folder / "printk").read_text() == "4 4 1 7\n"
    return (folder / "calls").read_text().splitlines(), done.stdout


def test_the_root_that_the_loader_names_is_mounted_and_started_from(tmp_path: Path) -> None:
    calls, _ = run_init(tmp_path, OPTIONS, 0)
    wanted = [call for call in calls if call.startswith("modprobe") or "/sysroot" in call]
    assert wanted == [
        "mkdir -p /sysroot /dev/pts /dev/shm /dev/mqueue",
        "modprobe -a -b -q ext4 virtio_blk ext4",
        f"mount -t ext4 -o ro {UUID} /sysroot",
        "mount -o move /dev /sysroot/dev",
        "mount -o move /proc /sysroot/proc",
        "mount -o move /sys /sysroot/sys",
        "switch_root -c /dev/ttyS0 /sysroot /sbin/init",
    ]


def test_the_kernels_filesystems_are_mounted_as_openrc_would(tmp_path: Path) -> None:
    """Where one is missing, OpenRC's devfs and sysfs mount it later, by several processes each."""
    calls, _ = run_init(tmp_path, OPTIONS, 0)
    assert calls[0] == "mount -t proc -o noexec,nosuid,nodev proc /proc", "busybox reads there what is mounted already"
    lines = [line.split() for line in (tmp_path / "mounted").read_text().splitlines()]
    where = {place: (kind, set(options.split(","))) for _, place, kind, options, _, _ in lines}
    assert len(where) == len(lines)
    assert list(where)[:2] == ["/sys", "/dev"]
    closed = {"noexec", "nosuid", "nodev"}
    assert {place for place, (_, options) in where.items() if not closed <= options} == {"/dev", "/dev/pts"}
    assert where["/dev/pts"] == ("devpts", {"gid=5", "mode=0620", "noexec", "nosuid"})
    later = {"mqueue", "securityfs", "debugfs", "tracefs", "pstore", "efivarfs", "bpf"}
    assert later < {kind for kind, _ in where.values()}


def test_what_the_options_say_of_the_root_and_of_init_holds(tmp_path: Path) -> None:
    calls, _ = run_init(tmp_path, "root=LABEL=own rootfstype=xfs rootflags=ro,noatime init=/bin/sh", 0)
    assert "mount -t xfs -o ro,noatime LABEL=own /sysroot" in calls
    assert calls[-1] == "switch_root /sysroot /bin/sh"


def test_drivers_of_what_is_on_the_buses_are_loaded_until_the_root_appears(tmp_path: Path) -> None:
    calls, _ = run_init(tmp_path, OPTIONS, 2)
    found = [call for call in calls if call.startswith(("modprobe", "mount -t ext4"))]
    mount, driver = f"mount -t ext4 -o ro {UUID} /sysroot", "modprobe -a -b -q virtio:d00000008v00001AF4"
    assert found[1:] == [mount, driver, mount, driver, mount]
    assert calls[-1].startswith("switch_root")


def test_a_root_that_is_not_there_is_named_before_a_shell_opens(tmp_path: Path) -> None:
    calls, said = run_init(tmp_path, OPTIONS, 101)
    assert f"initramfs: no filesystem {UUID} of type ext4. There are:" in said
    assert calls.index("blkid") < calls.index("sh")
    assert calls[-1].startswith("switch_root"), "and the search goes on after it"
