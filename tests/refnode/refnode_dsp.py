"""The firmware's signal processing, called function by function through the host library."""

import ctypes
import math
from ctypes import POINTER, Structure, byref, c_bool, c_float, c_int8, c_uint8, c_uint16, c_uint32
from pathlib import Path

SUBCARRIERS = 52
PRESENCE, FALL, MOTION = 1, 2, 4


class Sample(Structure):
    _fields_ = (
        ("number", c_uint32),
        ("antennas", c_uint8),
        ("subcarriers", c_uint16),
        ("channel", c_uint8),
        ("rssi", c_int8),
        ("noise_floor", c_int8),
        ("transmitter", c_uint8 * 6),
        ("iq", c_int8 * (2 * SUBCARRIERS)),
    )

    @property
    def bytes(self) -> bytes:
        return bytes(self)


class Source(Structure):
    _fields_ = (
        ("scenario", c_uint8),
        ("channel", c_uint8),
        ("filter_mac", ctypes.c_void_p),
        ("seed", c_uint32),
        ("noise", c_uint32),
        ("cosine", c_float * SUBCARRIERS),
        ("sine", c_float * SUBCARRIERS),
    )


class Settings(Structure):
    _fields_ = (
        ("tier", c_uint8),
        ("presence_threshold_mrad", c_uint16),
        ("fall_threshold_mrad", c_uint16),
        ("window_frames", c_uint16),
        ("subcarriers", c_uint8),
    )


class Event(Structure):
    _fields_ = (("has_acceleration", c_bool), ("acceleration", c_float), ("fall", c_bool), ("fall_peak", c_uint32))


class Vitals(Structure):
    _fields_ = (
        ("flags", c_uint8),
        ("persons", c_uint8),
        ("rssi", c_int8),
        ("breathing_bpm", c_float),
        ("heart_bpm", c_float),
        ("motion_energy", c_float),
        ("presence_score", c_float),
    )


class Room:
    """A mock scenario and the edge processing of it."""

    def __init__(
        self,
        library: Path,
        scenario: int = 0,
        *,
        seed: int = 1,
        channel: int = 6,
        filter_mac: bytes | None = None,
        tier: int = 2,
        presence: int = 0,
        fall: int = 15000,
        window: int = 256,
        subcarriers: int = 8,
    ):
        self.lib = ctypes.CDLL(str(library))
        self.lib.edge_feed.restype = Event
        self.lib.csi_burst_at.restype = c_bool
        self.source, self.sample, self.vitals_buffer = Source(), Sample(), Vitals()
        self._mac = filter_mac  # the source keeps a pointer to it
        self.lib.csi_init(byref(self.source), c_uint8(scenario), c_uint8(channel), filter_mac, c_uint32(seed))
        self.edge = ctypes.create_string_buffer(4096)
        self.settings = Settings(tier, presence, fall, window, subcarriers)
        self.lib.edge_init(self.edge, byref(self.settings))

    def generate(self, number: int) -> Sample:
        self.lib.csi_generate(byref(self.source), c_uint32(number), byref(self.sample))
        return self.sample

    def feed(self, sample: Sample | None = None) -> Event:
        return self.lib.edge_feed(self.edge, byref(sample or self.sample))

    def watch(self, frames: int, start: int = 0) -> list[Event]:
        """Generate and feed that many samples; what each showed."""
        events = []
        for number in range(start, start + frames):
            self.generate(number)
            events.append(self.feed())
        return events

    def play(self, phases, start: int = 0) -> list[Event]:
        """Feed samples whose subcarriers are all turned by the given phases (rad)."""
        events = []
        for number, phase in enumerate(phases, start):
            events.append(self.feed(turned(number, phase)))
        return events

    def vitals(self) -> Vitals:
        self.lib.edge_vitals(self.edge, byref(self.vitals_buffer))
        return self.vitals_buffer


def turned(number: int, phase: float, channel: int = 6) -> Sample:
    """A sample of a flat channel, turned by `phase`."""
    sample = Sample(number=number, antennas=1, subcarriers=SUBCARRIERS, channel=channel, rssi=-50, noise_floor=-92)
    for k in range(SUBCARRIERS):
        angle = phase + 0.11 * k  # different quantisation errors in every subcarrier
        sample.iq[2 * k] = round(110 * math.cos(angle))
        sample.iq[2 * k + 1] = round(110 * math.sin(angle))
    return sample


def falls(events: list[Event]) -> list[int]:
    return [index for index, event in enumerate(events) if event.fall]


def function(library, name: str, result, *arguments):
    found = getattr(ctypes.CDLL(str(library)), name)
    found.restype, found.argtypes = result, arguments
    return found


__all__ = ["POINTER", "Event", "Room", "Sample", "Settings", "Vitals", "falls", "function", "turned"]
