"""The ten mock scenarios: what is generated, and that it repeats."""

import math
from ctypes import c_float, c_int32

import pytest
from refnode_dsp import Room, function

ACCESS_POINT = bytes.fromhex("aabbccddeeff")
STRANGER = bytes.fromhex("112233445566")


def phase_between(a, b):
    product = sum(complex(b[2 * k], b[2 * k + 1]) * complex(a[2 * k], -a[2 * k + 1]) for k in range(52))
    return math.atan2(product.imag, product.real)


@pytest.mark.parametrize("scenario", [*range(10), 255])
def test_a_sample_is_a_function_of_scenario_seed_and_number(host_library, scenario):
    forwards, backwards = Room(host_library, scenario, seed=9), Room(host_library, scenario, seed=9)
    wanted = [forwards.generate(number).bytes for number in range(200)]
    assert [backwards.generate(number).bytes for number in reversed(range(200))] == wanted[::-1]


def test_seeds_give_different_rooms(host_library):
    samples = {Room(host_library, 1, seed=seed).generate(5).bytes for seed in range(50)}
    assert len(samples) == 50


@pytest.mark.parametrize("scenario", [0, 1, 2, 3, 4, 5, 6, 7, 8])
def test_a_usual_sample(host_library, scenario):
    room = Room(host_library, scenario, channel=11)
    for number in (0, 1, 77, 4_000_000_000):
        sample = room.generate(number)
        assert (sample.number, sample.antennas, sample.subcarriers) == (number, 1, 52)
        assert sample.noise_floor == -92
        amplitudes = [math.hypot(sample.iq[2 * k], sample.iq[2 * k + 1]) for k in range(52)]
        assert min(amplitudes) > 80 and max(amplitudes) < 128  # never clipped: that would bend the phase


def test_zero_length_frames(host_library):
    assert Room(host_library, 9).generate(3).subcarriers == 0


def test_an_empty_room_stands_still(host_library):
    room = Room(host_library, 0)
    first = list(room.generate(0).iq)
    assert max(abs(phase_between(first, list(room.generate(n).iq))) for n in range(1, 500)) < 0.005


@pytest.mark.parametrize(("scenario", "period"), [(1, 4.0), (6, 4.0), (8, 4.0)])
def test_breathing_repeats_after_four_seconds(host_library, scenario, period):
    room = Room(host_library, scenario)
    phases = [phase_between(list(room.generate(0).iq), list(room.generate(n).iq)) for n in range(81)]
    assert max(phases) - min(phases) == pytest.approx(0.6, abs=0.05)  # 0.3 rad either way
    assert phases[80] == pytest.approx(phases[0], abs=0.025)  # 0.01 rad of heart beat
    assert phases[20] == pytest.approx(max(phases), abs=0.04)


def test_channel_sweep_visits_1_6_and_11_a_second_each(host_library):
    room = Room(host_library, 5, channel=36)
    assert [room.generate(n).channel for n in (0, 19, 20, 39, 40, 59, 60)] == [1, 1, 6, 6, 11, 11, 1]
    assert Room(host_library, 1, channel=36).generate(0).channel == 36


def test_rssi_sweep_covers_minus_90_to_minus_10(host_library):
    room = Room(host_library, 8)
    values = [room.generate(n).rssi for n in range(82)]
    assert values[:81] == list(range(-90, -9))
    assert values[81] == -90


def test_every_second_frame_of_scenario_6_comes_from_a_stranger(host_library):
    room = Room(host_library, 6)
    assert [bytes(room.generate(n).transmitter) for n in range(4)] == [ACCESS_POINT, STRANGER] * 2
    for scenario in (0, 1, 2, 3, 4, 5, 7, 8, 9):
        assert bytes(Room(host_library, scenario).generate(1).transmitter) == ACCESS_POINT


def test_the_transmitter_is_the_one_that_the_filter_waits_for(host_library):
    wanted = bytes.fromhex("020304050607")
    assert bytes(Room(host_library, 1, filter_mac=wanted).generate(1).transmitter) == wanted
    room = Room(host_library, 6, filter_mac=wanted)
    assert [bytes(room.generate(n).transmitter) for n in range(2)] == [wanted, STRANGER]


def test_bursts_come_at_defined_times(host_library):
    room = Room(host_library, 7)
    bursts = [n for n in range(20 * 70) if room.lib.csi_burst_at(7, n)]
    assert bursts == [100, 700, 1300]  # 5 s, then every 30 s
    for scenario in (0, 1, 2, 3, 4, 5, 6, 8, 9):
        assert not any(room.lib.csi_burst_at(scenario, n) for n in range(1400))
    assert [n for n in range(4000) if room.lib.csi_burst_at(255, n)] == [1500, 3500]


def test_scenario_255_plays_all_one_after_the_other(host_library):
    everything = Room(host_library, 255, seed=3)
    order = [everything.lib.csi_scenario_at(255, n) for n in range(0, 2200, 200)]
    assert order == [*range(10), 0]
    for scenario in range(10):
        alone = Room(host_library, scenario, seed=3)
        for number in (200 * scenario, 200 * scenario + 199):
            assert everything.generate(number).bytes == alone.generate(number).bytes


def test_functions_agree_with_the_mathematical_ones(host_library):

    sine = function(host_library, "fm_sin_turns", c_float, c_float)
    cosine = function(host_library, "fm_cos_turns", c_float, c_float)
    arctangent = function(host_library, "fm_atan2", c_float, c_float, c_float)
    root = function(host_library, "fm_sqrt", c_float, c_float)
    for step in range(-4000, 4001):
        turns = step / 1600
        assert sine(turns) == pytest.approx(math.sin(2 * math.pi * turns), abs=2e-6)
        assert cosine(turns) == pytest.approx(math.cos(2 * math.pi * turns), abs=2e-6)
    for step in range(1600):
        angle = math.pi * (step - 800) / 801
        y, x = 37.5 * math.sin(angle), 37.5 * math.cos(angle)
        assert arctangent(y, x) == pytest.approx(angle, abs=1e-5)
    for exponent in range(-60, 61):
        value = 1.37 * 2.0**exponent
        assert root(value) == pytest.approx(math.sqrt(value), rel=1e-6)
    assert (arctangent(0, 0), root(0), root(-1)) == (0, 0, 0)


def test_the_division_in_integers_is_the_division(host_library):
    """Bit by bit, for every value that a sample's noise can take."""
    divide = function(host_library, "fm_divide_by_196608", c_float, c_int32)
    for bits in range(65536):
        centred = 2 * bits - 65535
        assert divide(centred) == c_float(centred / 196608).value  # rounding to 53 bits first changes nothing
