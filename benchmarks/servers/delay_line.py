"""A link with delay and limited rate between two network namespaces that exist as long as this process.

If the kernel has netem, it delays the packets. Otherwise this process forwards them between two tun devices, after half
the round trip and at the rate of the link. The devices use segmentation offload like network cards, which is cheap enough
in user space; sizes are counted as segments of an MTU of 1500.
"""

import argparse
import ctypes
import fcntl
import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
OFFLOADS = 1 | 2 | 4  # checksums, TCP segmentation over IPv4 and IPv6
VNET_HEADER = struct.Struct(
    "<BBHHHH"
)  # flags, GSO type, header length, segment size, checksum start and offset
FRAME_BYTES = 38  # Ethernet's overhead per packet: header, checksum, preamble and gap
MAX_PACKET_BYTES = VNET_HEADER.size + 65536
MTU = 1500
QUEUE_PACKETS = (
    10_000  # three round trips: with one, eight streams that start together lose a tenth of their packets
)
NEAR, FAR = "10.201.77.1", "10.201.77.2"


@dataclass
class Direction:
    """One direction of the link: packets from ``source`` go to ``target`` after ``delay`` seconds."""

    source: int
    target: int
    delay: float
    bytes_per_second: float
    queue_seconds: float
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    free_at: float = 0.0

    def receive(self, now: float) -> None:
        """Read all available packets; those that exceed the queue are dropped, as in a router."""
        while True:
            try:
                packet = os.read(self.source, MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            begin = max(now, self.free_at)
            if begin - now > self.queue_seconds:
                continue
            self.free_at = begin + _bytes_on_link(packet) / self.bytes_per_second
            self.waiting.append((self.free_at + self.delay, packet))

    def send_due(self, now: float) -> None:
        """Send the packets that are due."""
        while self.waiting and self.waiting[0][0] <= now:
            try:
                os.write(self.target, self.waiting.popleft()[1])
            except OSError:  # the device is full: the packet is lost and TCP retransmits
                return


def _bytes_on_link(packet: bytes) -> int:
    header: int
    segment: int
    _, kind, header, segment, _, _ = VNET_HEADER.unpack_from(packet)
    length = len(packet) - VNET_HEADER.size
    more = max(0, -(-(length - header) // segment) - 1) if kind and segment else 0
    return length + more * header + (more + 1) * FRAME_BYTES


def run(directions: tuple[Direction, Direction]) -> None:
    """Forward packets in both directions until the process is ended."""
    sources = [direction.source for direction in directions]
    while True:
        due = min((d.waiting[0][0] for d in directions if d.waiting), default=None)
        pause = None if due is None else max(0.0, due - time.monotonic())
        select.select(sources, [], [], pause)
        now = time.monotonic()
        for direction in directions:
            direction.receive(now)
            direction.send_due(now)


def make_namespace() -> int:
    """Move this process into a new network namespace; returns an open file that keeps it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace could not be made (that needs root)")
    _ip("link", "set", "lo", "up")
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def make_tun(address: str, peer: str) -> int:
    """A tun device in the current namespace, as an open file."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"line", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(tun, TUNSETOFFLOAD, OFFLOADS)
    _ip("link", "set", "line", "mtu", str(MTU), "up")
    _ip("address", "add", address, "peer", peer, "dev", "line")
    return tun


def _ip(*arguments: str, inside: Sequence[str] = ()) -> None:
    subprocess.run([*inside, "ip", *arguments], check=True)


def has_netem() -> bool:
    """Whether the kernel can delay packets; tried on the loopback device of the current namespace."""
    if not shutil.which("tc"):
        return False
    trial = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


def join_by_netem(near: str, delay: float, bits_per_second: float) -> None:
    """A pair of devices from this namespace to ``near``, delayed by the kernel."""
    shape = (
        "root",
        "netem",
        "delay",
        f"{delay * 1000:g}ms",
        "rate",
        f"{bits_per_second:.0f}bit",
        "limit",
        str(QUEUE_PACKETS),
    )
    _ip("link", "add", "line", "mtu", str(MTU), "type", "veth", "peer", "name", "line", "netns", near)
    for inside, address, peer in (((), FAR, NEAR), (("nsenter", f"--net={near}"), NEAR, FAR)):
        _ip("link", "set", "line", "mtu", str(MTU), "up", inside=inside)
        _ip("address", "add", address, "peer", peer, "dev", "line", inside=inside)
        subprocess.run([*inside, "tc", "qdisc", "add", "dev", "line", *shape], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--round-trip-ms", type=float, default=40)
    parser.add_argument("--bits-per-second", type=float, default=1e9)
    chosen = parser.parse_args()
    delay, rate = chosen.round_trip_ms / 2000, chosen.bits_per_second / 8
    near, by_kernel = make_namespace(), has_netem()
    near_tun = 0 if by_kernel else make_tun(NEAR, FAR)
    far = make_namespace()
    fact = {"near": f"/proc/{os.getpid()}/fd/{near}", "far": f"/proc/{os.getpid()}/fd/{far}"}
    far_tun = 0 if by_kernel else make_tun(FAR, NEAR)
    if by_kernel:
        join_by_netem(fact["near"], delay, chosen.bits_per_second)
    sys.stdout.write(json.dumps({**fact, "far_address": FAR}) + "\n")
    sys.stdout.flush()
    if by_kernel:
        signal.pause()
    with suppress(OSError):
        os.nice(-15)  # so that the link does not wait for the clients' CPU
    queue = QUEUE_PACKETS * (MTU + FRAME_BYTES) / rate
    run((Direction(near_tun, far_tun, delay, rate, queue), Direction(far_tun, near_tun, delay, rate, queue)))


if __name__ == "__main__":
    main()
