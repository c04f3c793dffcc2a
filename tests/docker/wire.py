"""All packets that this machine's network interfaces see, and who asked whom for which name."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from name_queries import asked_name

Network = IPv4Network | IPv6Network

_EVERY_PROTOCOL = 3  # ETH_P_ALL
_SOL_PACKET, _STATISTICS = 263, 6  # packet(7)
_LARGER_BUFFER = 33  # SO_RCVBUFFORCE, socket(7)
_IPV4, _IPV6, _UDP, _DNS = 0x0800, 0x86DD, 17, 53
_UDP_HEADER = 8


@dataclass(frozen=True)
class Packet:
    """asked: the name that a query to a name server is for."""

    source: str
    target: str
    asked: str = ""


@dataclass
class Wire:
    """Listens from `start` to `stop`. Needs root."""

    packets: set[Packet] = field(default_factory=set)
    _missed: Callable[[], int] = lambda: 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        listening = socket.socket(
            socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERY_PROTOCOL)
        )
        listening.setsockopt(socket.SOL_SOCKET, _LARGER_BUFFER, 1 << 27)
        listening.settimeout(0.2)
        self._missed = lambda: struct.unpack(
            "II", listening.getsockopt(_SOL_PACKET, _STATISTICS, 8)
        )[1]
        self._thread = threading.Thread(target=self._listen, args=(listening,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def require_whole(self) -> None:
        """That it still listens, and has missed nothing."""
        assert self._thread is not None and self._thread.is_alive()
        assert self._missed() == 0

    def heard(self, networks: Iterable[Network]) -> bool:
        """Anything from these at all."""
        known = list(networks)
        return any(_in(packet.source, known) for packet in self.packets)

    def outside(self, networks: Iterable[Network]) -> set[Packet]:
        """What was sent from one of these to somewhere else than one of these. Answers to this
        machine's own loopback are seen before they are translated back."""
        known = list(networks)
        return {
            packet
            for packet in self.packets
            if _in(packet.source, known)
            and not _in(packet.target, known)
            and not ip_address(packet.target).is_loopback
            and not ip_address(packet.target).is_multicast
        }

    def names_asked(self, networks: Iterable[Network]) -> set[str]:
        known = list(networks)
        return {
            packet.asked for packet in self.packets if packet.asked and _in(packet.source, known)
        }

    def _listen(self, listening: socket.socket) -> None:
        with listening:
            while not self._over.is_set():
                try:
                    content, (_, protocol, *_) = listening.recvfrom(512)
                except TimeoutError:
                    continue
                if packet := _read(protocol, content):
                    self.packets.add(packet)


def _in(address: str, networks: Iterable[Network]) -> bool:
    return any(ip_address(address) in network for network in networks)


def _read(protocol: int, content: bytes) -> Packet | None:
    if protocol == _IPV4 and len(content) >= 20:
        length = 4 * (content[0] & 15)
        source, target, kind = content[12:16], content[16:20], content[9]
    elif protocol == _IPV6 and len(content) >= 40:
        length, source, target, kind = 40, content[8:24], content[24:40], content[6]
    else:
        return None
    asked = ""
    if kind == _UDP and int.from_bytes(content[length + 2 : length + 4], "big") == _DNS:
        asked = asked_name(content[length + _UDP_HEADER :])
    return Packet(str(ip_address(source)), str(ip_address(target)), asked)
