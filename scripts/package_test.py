#!/usr/bin/env python3
"""Installs the package in a fresh Debian 12 root and runs what a technician runs.

    package_test.py [--architecture arm64] [--tests FOLDER]

Needs root, debootstrap, mosquitto, and `make build deb` before; another architecture runs
under qemu-user-static. FOLDER holds test programs, linked as the package's children are:
agent.test of agent and, for a package with children, golden.test of inference/tensorflow. Prints Markdown lines, and
fails with the first step that does not work. Removes the root at the end.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from package_boot import booted

HERE = pathlib.Path(__file__).resolve().parent.parent
TOPIC = "meltwatch/plant-1/f07"
UNIT = "/usr/lib/systemd/system/meltwatch.service"
PACKAGE_MB, INSTALLED_MB = 250, 700


def run(*command, timeout=900):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def installed(root):
    """Bytes on disk of the whole root, without apt's own lists and archives."""
    left_out = (f"--exclude={root / folder}/*" for folder in ("var/lib/apt/lists", "var/cache/apt", "tmp"))
    out = run("du", "-sxB1", *left_out, root)
    return int(out.split()[0])


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

    def close(self):
        os.unlink(self.socket.getsockname())
        self.socket.close()


def packages(architecture):
    found = [next(HERE.glob(f"dist/{name}_*_{architecture}.deb"), None) for name in ("meltwatch", "meltctl")]
    if None in found:
        sys.exit(f"dist/ lacks a package of {architecture}: run make deb")
    return found


def install(root, architecture):
    """Installs as a user does: apt adds what the package recommends, too."""
    package, fleet = packages(architecture)
    for deb in (package, fleet):
        shutil.copy(deb, root / "tmp")
    run("chroot", root, "apt-get", "update", "-qq")
    before, began = installed(root), time.monotonic()
    run("chroot", root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq",
        f"/tmp/{package.name}", f"/tmp/{fleet.name}")
    took, added, size = time.monotonic() - began, installed(root) - before, package.stat().st_size
    print(f"- base system: {before / 1e6:.0f} MB")
    print(f"- `apt install`: {took:.0f} s; package {size / 1e6:.0f} MB (at most {PACKAGE_MB}), "
          f"installed with all its dependencies {added / 1e6:.0f} MB (at most {INSTALLED_MB})")
    if size > PACKAGE_MB * 1e6 or added > INSTALLED_MB * 1e6:
        sys.exit("the package or what it installs is too large")
    for program in ("meltwatch", "meltctl"):
        version = run("chroot", root, program, "--version").strip()
        if not version.startswith(program + " "):
            sys.exit(f"{program} --version says {version}")


def documents(root):
    """The list of parts names each library with its hash; figures of trainings stay away."""
    doc = root / "usr/share/doc/meltwatch"
    if list(doc.rglob("comparison/*.json")):
        sys.exit("the package holds docs/comparison/*.json")
    parts = json.loads((doc / "meltwatch.cdx.json").read_text())["components"]
    hashes = {f["name"]: f["hashes"][0]["content"] for part in parts for f in part.get("components", [])}
    libraries = sorted((root / "usr/lib/meltwatch").glob("*.so*"))
    for library in libraries:
        if hashes.get(library.name) != hashlib.sha256(library.read_bytes()).hexdigest():
            sys.exit(f"meltwatch.cdx.json does not hold the hash of {library.name}")
    print(f"- list of parts: {len(parts)} parts; the hashes of all {len(libraries)} shipped libraries are right")


def unit(root):
    """What systemd says about the unit, as installed."""
    verified = subprocess.run(["systemd-analyze", "verify", f"--root={root}", "--man=no", UNIT], capture_output=True, text=True)
    said = [line for line in (verified.stdout + verified.stderr).splitlines() if "meltwatch" in line]
    if verified.returncode or said:
        sys.exit(f"systemd-analyze verify: status {verified.returncode}: {said}")
    report = run("systemd-analyze", "security", "--offline=true", f"--root={root}", "--threshold=20", "--no-pager", UNIT)
    print(f"- `systemd-analyze verify`: silent; `security`: {report.strip().splitlines()[-1].split(': ')[-1].split()[0]} (at most 2.0)")


def golden(root, tests):
    """The model's golden vectors, with the libraries of the package."""
    folder = root / "tmp/inference/tensorflow"
    shutil.copytree(HERE / "inference/models", root / "tmp/inference/models")
    shutil.copytree(HERE / "inference/tensorflow/testdata", folder / "testdata")
    shutil.copy(tests / "golden.test", folder)
    began = time.monotonic()
    out = run("chroot", root, "env", "-C", "/tmp/inference/tensorflow", "CI=true", "LD_LIBRARY_PATH=/usr/lib/meltwatch", "TF_CPP_MIN_LOG_LEVEL=2",
              "./golden.test", "-test.v", "-test.run", "TestGolden")
    if out.count("--- PASS") < 3:
        sys.exit(f"the golden vectors were not held: {out}")
    print(f"- golden vectors with the package's libraries: passed in {time.monotonic() - began:.0f} s")


def under_filter(root, tests):
    """The packaged programs and unit, in the test of the unit's system calls and address families."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        for name in ("agent", "bin", "systemd"):
            (place / name).mkdir()
        (place / "inference").symlink_to(HERE / "inference")
        (place / "systemd/meltwatch.service").symlink_to(root / UNIT[1:])
        for source in [root / "usr/bin/meltwatch", *(root / "usr/lib/meltwatch").glob("meltwatch-*")]:
            (place / "bin" / source.name).symlink_to(source)
        done = subprocess.run([tests / "agent.test", "-test.v", "-test.run", "TestAgentWorksUnderTheUnitsFilter"],
                              cwd=place / "agent", capture_output=True, text=True, timeout=300)
    if done.returncode or "--- PASS" not in done.stdout:
        sys.exit(f"the packaged programs under the unit's filter: {done.stdout[-3000:]}")
    print("- the packaged programs work under the system calls and address families of the packaged unit")


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


def watch(root, broker, processes, what, wanted, limit=60):
    """Runs the agent under a service manager's eyes until it publishes the wanted state."""
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
        if wanted(state):
            break
        if time.monotonic() - began > limit:
            sys.exit(f"{what}: not within {limit} s: {state}\n{(root / 'tmp/log').read_text()[-2000:]}")
    print(f"- {what}: READY after {ready:.1f} s, state `{state['state']}` by `{state['source']}` after {time.monotonic() - began:.1f} s")
    wait_for("WATCHDOG=1", lambda: notified.has("WATCHDOG=1"), 60)
    agent.send_signal(signal.SIGTERM)
    if agent.wait(20):
        sys.exit(f"the agent ended with status {agent.returncode}: {(root / 'tmp/log').read_text()[-2000:]}")
    states.terminate()
    states.wait(20)
    notified.close()


def newer_package(root, architecture):
    """A package of a higher version with another sample configuration, as every release has one."""
    with tempfile.TemporaryDirectory(dir=HERE / "dist") as folder:
        tree = pathlib.Path(folder) / "tree"
        run("dpkg-deb", "--raw-extract", packages(architecture)[0], tree)
        control = tree / "DEBIAN/control"
        version = next(line.split(": ")[1] for line in control.read_text().splitlines() if line.startswith("Version: "))
        control.write_text(control.read_text().replace(f"Version: {version}", f"Version: {version}+newer"))
        sample = tree / "etc/meltwatch/meltwatch.yaml"
        sample.write_text(sample.read_text() + "# A setting of the newer release.\n")
        run("dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "--build", tree, root / "opt/newer.deb")


APT = ("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-qq", "-o", "Dpkg::Options::=--force-confold")


def upgrade(root, architecture, enter):
    """Installs a newer package over an edited configuration, and tries the older one again."""
    configuration = root / "etc/meltwatch/meltwatch.yaml"
    edited = configuration.read_text()
    newer_package(root, architecture)
    run(*enter, *APT, "install", "/opt/newer.deb")
    if run(*enter, "meltwatch", "check", "--offline", "--json").count('"fail"'):
        sys.exit("the upgraded agent refuses its configuration")
    if configuration.read_text() != edited:
        sys.exit("the upgrade changed the configuration")
    shutil.copy(packages(architecture)[0], root / "opt/older.deb")
    older = subprocess.run([*enter, *APT, "install", "/opt/older.deb"], capture_output=True, text=True)
    if not older.returncode:
        sys.exit("apt installs the older package without being told to downgrade")
    print("- upgrade with another sample: edited configuration as before; a downgrade is refused by apt")


def purge(root, enter):
    run(*enter, *APT, "purge", "meltwatch", "meltctl")
    left = [p for p in ("etc/meltwatch", "usr/lib/meltwatch", "usr/share/meltwatch", "usr/bin/meltwatch", "var/lib/meltwatch",
                        "var/lib/private/meltwatch", "usr/share/doc/meltwatch") if os.path.lexists(root / p)]
    if left:
        sys.exit(f"purging leaves {left}")
    print("- `apt purge` leaves nothing")


def service(root, architecture):
    """The unit under a real systemd, through an upgrade and a purge, while the broker is away and the outbox fills."""
    run("chroot", root, *APT, "install", "--no-install-recommends", "systemd", "dbus")
    unit(root)
    with booted(root) as system:
        began = time.monotonic()
        system.run("systemctl", "enable", "--now", "meltwatch")  # waits for READY
        took = time.monotonic() - began
        pid, invocation, restarts = system.show("meltwatch", "MainPID", "InvocationID", "NRestarts")
        user = system.run("stat", "-c", "%u", f"/proc/{pid}").strip()
        if user == "0":
            sys.exit("the service runs as root")
        outbox = root / "var/lib/private/meltwatch/outbox"
        wait_for("records in the outbox", lambda: any(f.stat().st_size for f in outbox.rglob("*") if f.is_file()), 60)
        kept = {f.name for f in outbox.rglob("*") if f.is_file()}
        upgrade(root, architecture, system.enter)
        after = system.show("meltwatch", "MainPID", "InvocationID", "NRestarts", "ActiveState")
        starts = system.run("journalctl", "-u", "meltwatch", "-o", "cat").count("Started meltwatch.service")
        if after[0] == pid or after[1] == invocation or after[2:] != [restarts, "active"] or starts != 2:
            sys.exit(f"the upgrade did not restart the service once: {starts} starts, {after}")
        if not kept <= {f.name for f in outbox.rglob("*")}:
            sys.exit("the upgrade lost files of the outbox")
        print(f"- systemd {system.run('systemctl', '--version').split()[1]} as process 1: active after {took:.1f} s as user {user}; "
              "an upgrade restarts it once and keeps the outbox")
        purge(root, system.enter)
        if system.show("meltwatch", "ActiveState")[0] != "inactive":
            sys.exit("the purged service still runs")


@contextlib.contextmanager
def fresh_root(architecture):
    """A Debian 12 root in which the architecture's programs run."""
    registered = emulate(architecture)
    root = pathlib.Path(tempfile.mkdtemp(prefix="meltwatch-root-"))
    mounted = []
    try:
        run("debootstrap", "--variant=minbase", f"--arch={architecture}", "bookworm", root)
        root.chmod(0o755)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        for source in ("/proc", "/dev"):
            run("mount", "--bind", source, root / source[1:])
            mounted.append(root / source[1:])
        yield root
    finally:
        for target in reversed(mounted):
            run("umount", "--lazy", target)  # or what is deleted next would be the machine's own devices
        shutil.rmtree(root)
        if registered:
            registered.write_text("-1")  # takes the entry back


def emulate(architecture):
    """Has the kernel run the architecture's programs in QEMU; returns the entry if it is new."""
    if run("dpkg", "--print-architecture").strip() == architecture:
        return None
    formats = pathlib.Path("/proc/sys/fs/binfmt_misc")
    if not (formats / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", formats)
    name = {"arm64": "qemu-aarch64"}[architecture]
    entry = formats / name
    if entry.exists():
        return None
    line = pathlib.Path(f"/usr/lib/binfmt.d/{name}.conf").read_text()
    (formats / "register").write_text(line)
    return entry


@contextlib.contextmanager
def plant(processes):
    """A simulated furnace and a broker; yields the ports of meter, camera and broker."""
    ports = meter, camera, broker = free_port(), free_port(), free_port()
    processes.append(subprocess.Popen([HERE / "bin/furnace-sim", "serve", "--life", "normal", "--modbus", f"127.0.0.1:{meter}",
                                       "--rtsp", f"127.0.0.1:{camera}"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
    processes.append(subprocess.Popen(["mosquitto", "-p", str(broker)], stderr=subprocess.DEVNULL))
    try:
        for port in ports:
            wait_for(f"port {port}", lambda port=port: listens(port), 60)
        yield ports
    finally:
        for p in processes:
            if p.poll() is None:
                p.terminate()
                p.wait(20)


def current_only(root, broker, processes):
    """Without camera and children the rule decides."""
    file = root / "etc/meltwatch/meltwatch.yaml"
    before = file.read_text()
    changed = before.replace("camera:\n  enabled: true", "camera:\n  enabled: false").replace('programs: ""', "programs: /nonexistent")
    file.write_text(changed)
    watch(root, broker, processes, "current alone, without the children", lambda s: s["source"] == "rule", 240)
    file.write_text(before)


def main():
    native = run("dpkg", "--print-architecture").strip()
    p = argparse.ArgumentParser()
    p.add_argument("--architecture", default=native)
    p.add_argument("--tests", type=pathlib.Path)
    a = p.parse_args()
    began, processes = time.monotonic(), []
    with fresh_root(a.architecture) as root:
        installing = time.monotonic()
        install(root, a.architecture)
        documents(root)
        with plant(processes) as (meter, camera, broker):
            configure(root, meter, camera, broker)
            if (root / "usr/lib/meltwatch/meltwatch-infer").exists():
                checking = time.monotonic()
                lines = run("chroot", root, "meltwatch", "check")
                print(f"- `meltwatch check`: {time.monotonic() - checking:.1f} s, {len(lines.splitlines())} lines, none of them FAIL")
                watch(root, broker, processes, "agent", lambda s: s["state"] in ("normal", "abnormal", "warming"))
                print(f"- from `apt install` to the first state and a clean end: {(time.monotonic() - installing) / 60:.1f} minutes")
            current_only(root, broker, processes)
        if a.tests:
            if (a.tests / "golden.test").exists():
                golden(root, a.tests)
            if a.architecture == native:
                under_filter(root, a.tests)
        if a.architecture == native:
            service(root, a.architecture)
        else:
            upgrade(root, a.architecture, ("chroot", root))
            purge(root, ("chroot", root))
    print(f"- in all {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
