"""Two hosts on this machine: each has a network and process ids of its own, and a cable."""

import os
import shutil
import subprocess
from contextlib import contextmanager, suppress

import pytest

NETWORK = "10.77.0"
"""Of the bridge to which the hosts' cables lead."""
BRIDGE = f"{NETWORK}.1"
"""Address of this machine in it."""


class Host:
    """A host at the bridge.

    Args:
        name: of it.
        number: last part of its address.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name, self._cable = name, f"{name}-cable"
        _ip("netns", "add", name)
        _ip("link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("link", "set", self._cable, "master", "fc-bridge", "up")
        for words in (f"addr add {NETWORK}.{number}/24 dev eth0", "link set eth0 up"):
            _ip("-n", name, *words.split())

    def start(self, command: list[str], **options) -> subprocess.Popen:
        """Start a program on it."""
        inside = ["ip", "netns", "exec", self.name, "unshare", "--pid", "--fork", "--kill-child"]
        return subprocess.Popen([*inside, "--mount-proc", *command], **options)

    def cut(self) -> None:
        """Cut its cable: what it sends is lost, and nobody tells it so."""
        _ip("link", "set", self._cable, "down")

    def mend(self) -> None:
        """Mend it."""
        _ip("link", "set", self._cable, "up")

    def remove(self) -> None:
        """Remove it from this machine."""
        _ip("netns", "delete", self.name)


@contextmanager
def two_hosts():
    """Two hosts while the block runs; the test is skipped where none can be made."""
    if os.geteuid() or not (shutil.which("ip") and shutil.which("unshare")):
        pytest.skip("needs root, and ip and unshare (apt-get install iproute2)")
    try:
        _ip("link", "add", "fc-bridge", "type", "bridge")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network can be made here: {error.stderr}")
    made: list[Host] = []
    try:
        _ip("addr", "add", f"{BRIDGE}/24", "dev", "fc-bridge")
        _ip("link", "set", "fc-bridge", "up")
        for name, number in (("fc-one", 2), ("fc-two", 3)):
            made.append(Host(name, number))
        yield made
    finally:
        for host in made:
            with suppress(subprocess.CalledProcessError):
                host.remove()
        _ip("link", "delete", "fc-bridge")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20)
