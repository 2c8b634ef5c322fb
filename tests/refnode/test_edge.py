"""Edge processing: presence, motion, breathing and falls, from the phase alone."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refnode_dsp import FALL, MOTION, PRESENCE, Room, falls, turned

RATE = 20


def ramp(acceleration: float, frames: int, before: int = 10, after: int = 40):
    """A phase at rest, then that acceleration (rad/s²) in exactly `frames` consecutive samples, then steady."""
    phase, velocity, phases = 0.0, 0.0, []
    for number in range(before + frames + after):
        if before <= number < before + frames:
            velocity += acceleration / RATE
        phase += velocity / RATE
        phases.append(phase)
    return phases


def test_walking_1300_frames_is_no_fall(host_library):
    for seed in range(8):
        events = Room(host_library, 2, seed=seed).watch(1300)
        assert falls(events) == []


def test_walking_accelerates_with_two_and_a_half_to_five_rad_per_square_second(host_library):
    events = Room(host_library, 2).watch(1300)
    values = [abs(event.acceleration) for event in events if event.has_acceleration]
    peaks = [max(values[second * RATE : (second + 1) * RATE]) for second in range(64)]
    assert sum(2.5 <= peak <= 5.0 for peak in peaks) >= 0.95 * len(peaks)
    assert max(values) < 7.5


def test_the_fall_scenario_falls_early_and_again(host_library):
    for seed in range(8):
        events = Room(host_library, 3, seed=seed).watch(20 * 60)
        frames = falls(events)
        assert len(frames) == 4
        assert frames[0] < 20 * 8
        assert {after - before for before, after in itertools.pairwise(frames)} == {300}
        assert all(15000 <= events[frame].fall_peak < 24000 for frame in frames)


@pytest.mark.parametrize("scenario", [0, 1, 2, 4, 5, 6, 7, 8, 9])
def test_nothing_else_is_a_fall(host_library, scenario):
    assert falls(Room(host_library, scenario).watch(20 * 60)) == []


def test_all_scenarios_in_a_row_fall_in_the_third_only(host_library):
    frames = falls(Room(host_library, 255).watch(2 * 2000))
    assert frames
    assert {frame // 200 % 10 for frame in frames} == {3}


def test_two_fast_frames_are_no_fall_and_three_are(host_library):
    assert falls(Room(host_library).play(ramp(18, 2))) == []
    assert falls(Room(host_library).play(ramp(18, 3))) == [12]


def test_the_three_frames_must_be_consecutive(host_library):
    phases = ramp(18, 2)[:14]
    velocity = (phases[-1] - phases[-2]) * RATE
    for extra in (0, 18, 18, 0, 0):  # a steady frame, then two fast ones again
        velocity += extra / RATE
        phases.append(phases[-1] + velocity / RATE)
    assert falls(Room(host_library).play(phases)) == []


@pytest.mark.parametrize(("acceleration", "expected"), [(13.5, 0), (16.5, 1), (-13.5, 0), (-16.5, 1)])
def test_the_threshold_counts_in_both_directions(host_library, acceleration, expected):
    assert len(falls(Room(host_library, fall=15000).play(ramp(acceleration, 5)))) == expected


@pytest.mark.parametrize("threshold", [1500, 3000, 6000, 24000])
def test_the_threshold_is_a_setting_in_thousandths(host_library, threshold):
    def fell(acceleration):
        return bool(falls(Room(host_library, fall=threshold).play(ramp(acceleration, 5))))

    assert fell(threshold / 1000 + 1.5)
    assert not fell(threshold / 1000 - 1.4)


def test_five_seconds_of_cool_down(host_library):
    def falls_again_after(frames: int) -> bool:
        phases = ramp(18, 3, after=frames)
        velocity = (phases[-1] - phases[-2]) * RATE
        for _ in range(3):
            velocity -= 18 / RATE
            phases.append(phases[-1] + velocity / RATE)
        return len(falls(Room(host_library).play(phases))) == 2

    assert falls_again_after(100)  # frames 101 to 103 after the detection
    assert not falls_again_after(99)  # the first of the three still lies within it


def test_the_fall_flag_holds_during_the_cool_down(host_library):
    room = Room(host_library)
    room.play(ramp(18, 3, after=0))
    assert room.vitals().flags & FALL
    room.play([0.0] * 99, start=13)
    assert room.vitals().flags & FALL
    room.play([0.0] * 1, start=112)
    assert not room.vitals().flags & FALL


@given(st.lists(st.floats(-10.0, 10.0), min_size=4, max_size=60))
@settings(max_examples=60, deadline=None)
def test_slow_movements_are_never_a_fall(host_library, accelerations):
    velocity, phase, phases = 0.0, 0.0, []
    for acceleration in accelerations:
        velocity = max(-8.0, min(8.0, velocity + acceleration / RATE))
        phase += velocity / RATE
        phases.append(phase)
    assert falls(Room(host_library).play(phases)) == []


@pytest.mark.parametrize("subcarriers", [1, 8, 32])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_breathing_of_a_static_person_is_15_a_minute(host_library, seed, subcarriers):
    room = Room(host_library, 1, seed=seed, subcarriers=subcarriers)
    room.watch(260)
    vitals = room.vitals()
    assert vitals.flags == PRESENCE
    assert vitals.persons == 1
    assert vitals.breathing_bpm == pytest.approx(15.0, abs=0.3)


def test_the_heart_beats_72_times_a_minute(host_library):
    room = Room(host_library, 1)
    room.watch(300)
    assert room.vitals().heart_bpm == pytest.approx(72, abs=2)


@pytest.mark.parametrize("bpm", [8, 12, 18, 24, 30])
def test_any_breath_is_measured(host_library, bpm):
    room = Room(host_library)
    depth = 2.5 / bpm  # fast breath is shallow
    room.play([depth * math.sin(2 * math.pi * bpm / 60 * n / RATE) for n in range(300)])
    assert room.vitals().breathing_bpm == pytest.approx(bpm, abs=0.75)


def test_two_persons_are_two(host_library):
    room = Room(host_library, 4)
    room.watch(300)
    assert (room.vitals().persons, room.vitals().flags) == (2, PRESENCE)
    assert room.vitals().breathing_bpm == pytest.approx(12, abs=1)


def test_an_empty_room_has_nobody(host_library):
    room = Room(host_library, 0)
    for second in range(40):
        room.watch(RATE, start=second * RATE)
        vitals = room.vitals()
        assert (vitals.flags, vitals.persons, vitals.breathing_bpm, vitals.heart_bpm) == (0, 0, 0, 0)
        assert vitals.presence_score < 0.005


def test_walking_is_motion_without_a_breath(host_library):
    room = Room(host_library, 2)
    room.watch(400)
    vitals = room.vitals()
    assert vitals.flags == PRESENCE | MOTION
    assert vitals.motion_energy == pytest.approx(2.2, abs=0.4)
    assert vitals.breathing_bpm == 0


def test_somebody_who_shifted_is_not_a_breath(host_library):
    room = Room(host_library)
    room.play([0.0] * 120 + [min(1.0, 0.02 * n) for n in range(180)])
    assert room.vitals().breathing_bpm == 0


def test_before_eight_seconds_there_is_no_rate(host_library):
    room = Room(host_library, 1)
    room.watch(150)
    assert room.vitals().flags & PRESENCE
    assert room.vitals().breathing_bpm == 0


def test_a_window_too_short_for_a_breath_gives_none(host_library):
    room = Room(host_library, 1, window=32)
    room.watch(400)
    assert room.vitals().flags & PRESENCE
    assert room.vitals().breathing_bpm == 0


@pytest.mark.parametrize(("threshold", "present"), [(50, True), (150, True), (300, False)])
def test_the_presence_threshold_is_a_setting(host_library, threshold, present):
    room = Room(host_library, 1, presence=threshold)  # 0.3 rad of breathing deviate by 0.21
    room.watch(300)
    assert bool(room.vitals().flags & PRESENCE) == present


def test_tier_0_says_nothing(host_library):
    room = Room(host_library, 3, tier=0)
    events = room.watch(300)
    assert not any(event.has_acceleration or event.fall for event in events)
    vitals = room.vitals()
    assert (vitals.flags, vitals.persons, vitals.motion_energy, vitals.presence_score) == (0, 0, 0, 0)
    assert vitals.rssi == -48


def test_tier_1_knows_presence_and_motion_only(host_library):
    walking = Room(host_library, 2, tier=1)
    walking.watch(300)
    assert walking.vitals().flags == PRESENCE | MOTION
    sitting, falling = Room(host_library, 1, tier=1), Room(host_library, 3, tier=1)
    sitting.watch(300)
    assert (sitting.vitals().flags, sitting.vitals().breathing_bpm) == (PRESENCE, 0)
    assert falls(falling.watch(300)) == []


def test_another_channel_starts_the_phase_anew(host_library):
    room = Room(host_library)
    room.play([0.0] * 30)
    room.feed(turned(30, 2.5, channel=11))
    event = room.feed(turned(31, 2.5, channel=11))
    assert not event.has_acceleration


def test_a_long_gap_starts_the_phase_anew_and_a_short_one_is_bridged(host_library):
    room = Room(host_library)
    room.play([0.0] * 10)
    assert not room.feed(turned(14, 1.0)).has_acceleration  # five periods
    steady = Room(host_library)
    steady.play([0.05 * n for n in range(10)])
    event = steady.feed(turned(12, 0.05 * 12))
    assert event.has_acceleration
    assert abs(event.acceleration) < 1.0


def test_breathing_survives_losing_every_second_sample(host_library):
    room = Room(host_library, 1)
    for number in range(0, 320, 2):
        room.generate(number)
        room.feed()
    assert room.vitals().breathing_bpm == pytest.approx(15, abs=0.5)


def test_empty_samples_are_taken_without_harm(host_library):
    room = Room(host_library, 9)
    assert not any(event.has_acceleration for event in room.watch(50))
    assert room.vitals().flags == 0
