"""Why bytes are not what they claim to be: one closed list, so that reports can count by reason."""

from __future__ import annotations

from enum import StrEnum


class Malformed(StrEnum):
    """The reason's value is `layer: what`, as it stands in reports."""

    ETH_SHORT = "eth: shorter than its header"
    ARP_SHORT = "arp: shorter than its header"
    ARP_FORMAT = "arp: not Ethernet/IPv4"
    IP_SHORT = "ip: shorter than its header"
    IP_VERSION = "ip: version is not 4"
    IP_HEADER_LENGTH = "ip: header length out of range"
    IP_TOTAL_LENGTH = "ip: total length contradicts the frame"
    IP_CHECKSUM = "ip: header checksum"
    UDP_SHORT = "udp: shorter than its header"
    UDP_LENGTH = "udp: length contradicts the packet"
    UDP_CHECKSUM = "udp: checksum"
    TCP_SHORT = "tcp: shorter than its header"
    TCP_OFFSET = "tcp: header length out of range"
    TCP_CHECKSUM = "tcp: checksum"
    ICMP_SHORT = "icmp: shorter than its header"
    ICMP_CHECKSUM = "icmp: checksum"
    MESSAGE_SHORT = "message: shorter than a magic number"
    MESSAGE_MAGIC = "message: unknown magic number"
    CSI_SHORT = "csi: shorter than its header"
    CSI_SUBCARRIERS = "csi: more than 512 subcarriers"
    CSI_LENGTH = "csi: subcarrier count contradicts the length"
    CSI_RESERVED = "csi: reserved field is not zero"
    VITALS_LENGTH = "vitals: not 32 bytes"
    BEACON_LENGTH = "beacon: not 24 bytes"
    BEACON_VERSION = "beacon: unknown version"
    SYNC_REQUEST_LENGTH = "sync: request is not 16 bytes"
    SYNC_RESPONSE_LENGTH = "sync: response is not 32 bytes"
    RTP_SHORT = "rtp: shorter than its header"
    RTP_VERSION = "rtp: not the kind of packet expected"
    RTP_LENGTH = "rtp: header or padding longer than the packet"


class MalformedError(ValueError):
    """Bytes that do not parse; `reason` is enumerable, the text adds the numbers seen."""

    def __init__(self, reason: Malformed, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"{reason.value} ({detail})" if detail else reason.value)
