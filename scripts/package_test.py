#!/usr/bin/env python3
"""Installs the package in a fresh Debian 12 root and runs what a technician runs.

Needs root, debootstrap, mosquitto, and `make build deb` before. Prints Markdown lines,
and fails with the first step that does not work. Removes the root at the end.
"""

import json
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
TOPIC = "meltwatch/plant-1/f07"


def run(*command, timeout=900):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def installed_kib(root):
    return sum(map(int, run("chroot", root, "dpkg-query", "-W", "-f=${Installed-Size}\n").split()))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, probe, seconds):
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if probe():
            return time.monotonic() - began
        time.sleep(0.2)
    sys.exit(f"{what}: not within {seconds} s")


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Notified:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.seen = []

    def has(self, word):
        try:
            while True:
                self.seen += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            pass
        return word in self.seen


def install(root):
    print(f"- base system: {installed_kib(root) / 1024:.0f} MiB")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    package, fleet = (next(HERE.glob(f"dist/{name}_*.deb"), None) for name in ("meltwatch", "meltctl"))
    if not package or not fleet:
        sys.exit("dist/ lacks a package: run make deb")
    before = installed_kib(root)
    for deb in (package, fleet):
        shutil.copy(deb, root / "tmp")
    run("chroot", root, "apt-get", "update", "-qq")
    began = time.monotonic()
    run("chroot", root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
        "--no-install-recommends", f"/tmp/{package.name}", f"/tmp/{fleet.name}")
    print(f"- `apt install`: {time.monotonic() - began:.0f} s; package {package.stat().st_size / 2**20:.0f} MiB, "
          f"installed with its dependencies {(installed_kib(root) - before) / 1024:.0f} MiB")
    for program in ("meltwatch", "meltctl"):
        version = run("chroot", root, program, "--version").strip()
        if not version.startswith(program + " "):
            sys.exit(f"{program} --version says {version}")


def configure(root, meter, camera, broker):
    file = root / "etc/meltwatch/meltwatch.yaml"
    text = file.read_text()
    for old, new in {
        "tcp://192.0.2.10:502 ": f"tcp://127.0.0.1:{meter} ",
        "rtsp://192.0.2.11:554/stream": f"rtsp://127.0.0.1:{camera}/furnace",
        "tcp://192.0.2.12:1883": f"tcp://127.0.0.1:{broker}",
    }.items():
        if text.count(old) != 1:
            sys.exit(f"the sample configuration has {old!r} {text.count(old)} times, not once")
        text = text.replace(old, new)
    file.write_text(text)


def watch(root, broker, processes):
    (root / "run/systemd").mkdir(parents=True, exist_ok=True)
    notified = Notified(root / "run/notify")
    states = subprocess.Popen(["mosquitto_sub", "-p", str(broker), "-t", TOPIC + "/state"], stdout=subprocess.PIPE, text=True)
    processes.append(states)
    with open(root / "tmp/log", "wb") as log:
        agent = subprocess.Popen(["chroot", root, "env", "NOTIFY_SOCKET=/run/notify", "WATCHDOG_USEC=60000000",
                                  "meltwatch", "run"], stderr=log)
    processes.append(agent)
    began = time.monotonic()
    ready = wait_for("READY=1", lambda: notified.has("READY=1"), 60)
    for line in states.stdout:
        state = json.loads(line)
        if state["state"] in ("normal", "abnormal", "warming"):
            break
        if time.monotonic() - began > 60:
            sys.exit(f"no state within 60 s: {state}")
    print(f"- READY after {ready:.1f} s, first state ({state['state']}) after {time.monotonic() - began:.1f} s")
    wait_for("WATCHDOG=1", lambda: notified.has("WATCHDOG=1"), 60)
    agent.send_signal(signal.SIGTERM)
    if agent.wait(20):
        sys.exit(f"the agent ended with status {agent.returncode}: {(root / 'tmp/log').read_text()[-2000:]}")


def upgrade(root):
    """Installs a newer package with another sample, as every release has one, over an edited configuration."""
    package = next(HERE.glob("dist/meltwatch_*.deb"))
    configuration, outbox = root / "etc/meltwatch/meltwatch.yaml", root / "var/lib/meltwatch/outbox"
    edited = configuration.read_text()
    kept = sorted(p.name for p in outbox.rglob("*"))
    if not kept:
        sys.exit(f"the agent left nothing in {outbox}")
    with tempfile.TemporaryDirectory(dir=HERE / "dist") as folder:
        tree = pathlib.Path(folder) / "tree"
        run("dpkg-deb", "--raw-extract", package, tree)
        control = tree / "DEBIAN/control"
        version = next(line.split(": ")[1] for line in control.read_text().splitlines() if line.startswith("Version: "))
        control.write_text(control.read_text().replace(f"Version: {version}", f"Version: {version}+newer"))
        sample = tree / "etc/meltwatch/meltwatch.yaml"
        sample.write_text(sample.read_text() + "# A setting of the newer release.\n")
        run("dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", tree, root / "tmp/newer.deb")
    apt = ("chroot", root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends")
    run(*apt, "-o", "Dpkg::Options::=--force-confold", "/tmp/newer.deb")
    if run("chroot", root, "meltwatch", "check", "--offline", "--json").count('"fail"'):
        sys.exit("the upgraded agent refuses its configuration")
    if configuration.read_text() != edited or sorted(p.name for p in outbox.rglob("*")) != kept:
        sys.exit("the upgrade changed the configuration or the outbox")
    older = subprocess.run([*apt, f"/tmp/{package.name}"], capture_output=True, text=True)
    if not older.returncode:
        sys.exit("apt installs the older package without being told to downgrade")
    print("- upgrade with another sample: edited configuration and outbox as before; a downgrade is refused by apt")


def purge(root):
    run("chroot", root, "apt-get", "purge", "-y", "-qq", "meltwatch", "meltctl")
    left = [p for p in ("etc/meltwatch", "usr/lib/meltwatch", "usr/share/meltwatch", "usr/bin/meltwatch",
                        "var/lib/meltwatch", "usr/share/doc/meltwatch") if (root / p).exists()]
    if left:
        sys.exit(f"purging leaves {left}")
    print("- `apt purge` leaves nothing")


def main():
    began, processes = time.monotonic(), []
    root = pathlib.Path(tempfile.mkdtemp(prefix="meltwatch-root-"))
    mounted = False
    try:
        run("debootstrap", "--variant=minbase", "bookworm", root)
        for source in ("/proc", "/dev"):
            run("mount", "--bind", source, root / source[1:])
        mounted = True
        root.chmod(0o755)
        installing = time.monotonic()
        install(root)
        meter, camera, broker = free_port(), free_port(), free_port()
        processes.append(subprocess.Popen([HERE / "bin/furnace-sim", "serve", "--life", "normal", "--modbus", f"127.0.0.1:{meter}",
                                           "--rtsp", f"127.0.0.1:{camera}"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        processes.append(subprocess.Popen(["mosquitto", "-p", str(broker)], stderr=subprocess.DEVNULL))
        for port in (meter, camera, broker):
            wait_for(f"port {port}", lambda port=port: listens(port), 60)
        configure(root, meter, camera, broker)
        checking = time.monotonic()
        lines = run("chroot", root, "meltwatch", "check")
        print(f"- `meltwatch check`: {time.monotonic() - checking:.1f} s, {len(lines.splitlines())} lines, none of them FAIL")
        watch(root, broker, processes)
        print(f"- from `apt install` to the first state and a clean end: {(time.monotonic() - installing) / 60:.1f} minutes")
        upgrade(root)
        purge(root)
    finally:
        for p in processes:
            if p.poll() is None:
                p.terminate()
                p.wait(20)
        if mounted:
            for target in ("dev", "proc"):
                run("umount", root / target)
        shutil.rmtree(root)
    print(f"- in all {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
