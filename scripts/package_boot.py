"""Boots systemd in an installed root, in namespaces of its own, for package_test.py."""

import contextlib
import os
import pathlib
import subprocess
import sys
import time

# The kernel's settings are read-only and the devices are the harmless ones, so that what systemd
# does at boot stays in this root.
BOOT = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
# The control groups of this namespace, whichever hierarchies the machine has.
if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  while IFS=: read -r _ controllers _; do
    case $controllers in
      '') folder=unified type=cgroup2 options=rw ;;
      name=*) folder=${controllers#name=} type=cgroup options=none,$controllers ;;
      *) folder=$controllers type=cgroup options=$controllers ;;
    esac
    mkdir -p "sys/fs/cgroup/$folder" && mount -t $type -o "$options" $type "sys/fs/cgroup/$folder"
  done </proc/self/cgroup
fi
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
  touch dev/$device && mount --bind /dev/$device dev/$device
done
mkdir dev/shm dev/pts
mkdir -p mnt/old
pivot_root . mnt/old
umount -l /mnt/old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=basic.target
"""

# Services of a whole machine that a service's test does without.
MASKED = ("systemd-udevd.service", "systemd-udev-trigger.service", "systemd-modules-load.service", "systemd-sysctl.service",
          "systemd-binfmt.service", "systemd-timesyncd.service", "systemd-tmpfiles-setup-dev.service")


class System:
    """A booted root."""

    def __init__(self, pid):
        self.enter = ("nsenter", "-t", str(pid), "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")

    def show(self, unit, *names):
        """The unit's properties, in the order of names."""
        out = self.run("systemctl", "show", unit, *(f"--property={n}" for n in names))
        values = dict(line.split("=", 1) for line in out.splitlines())
        return [values[n] for n in names]

    def run(self, *command):
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, timeout=300)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout


def own_groups():
    """A control group of its own in each hierarchy, below this process's."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        folder = pathlib.Path("/sys/fs/cgroup")
        if not (folder / "cgroup.procs").exists():  # hierarchies of version 1
            folder /= controllers.removeprefix("name=") or "unified"
        group = folder / path.strip("/") / f"meltwatch-package-{os.getpid()}"
        if not folder.exists():
            continue
        group.mkdir()
        for setting in ("cpuset.cpus", "cpuset.mems"):  # empty at first, and then no process may enter
            if (group / setting).exists():
                (group / setting).write_text((group.parent / setting).read_text())
        yield group


def remove_groups(groups):
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)


def child_of(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else None


@contextlib.contextmanager
def booted(root):
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    groups = list(own_groups())
    enter = "".join(f"echo $$ > {g}/cgroup.procs; " for g in groups)
    outer = subprocess.Popen(["sh", "-c", f'{enter} exec "$@"', "sh", "unshare", "--mount", "--pid", "--fork", "--cgroup", "--ipc", "--uts", "sh", "-c", BOOT, "sh", root],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        began = time.monotonic()
        while True:
            pid = child_of(outer.pid) if outer.poll() is None else None
            if outer.poll() is not None or time.monotonic() - began > 90:
                sys.exit(f"systemd does not boot: {outer.stderr.read1(2000) if outer.poll() is not None else 'not ready within 90 s'}")
            if pid:
                system = System(pid)
                ready = subprocess.run([*system.enter, "systemctl", "is-active", "basic.target"], capture_output=True, text=True)
                if ready.stdout.strip() == "active":
                    break
            time.sleep(0.5)
        yield system
    finally:
        pid = child_of(outer.pid) if outer.poll() is None else None
        if pid:
            subprocess.run([*System(pid).enter, "systemctl", "exit", "--force"], capture_output=True, timeout=60)
            with contextlib.suppress(subprocess.TimeoutExpired):
                outer.wait(30)
        if outer.poll() is None:
            outer.kill()  # the first process of the namespace takes all others along
        outer.wait()
        remove_groups(groups)
