#include "csi.h"

#include "fmath.h"

enum { BURST_FIRST = 5 * CSI_RATE_HZ, BURST_PERIOD = 30 * CSI_RATE_HZ };
enum { FALL_FIRST = 6 * CSI_RATE_HZ, FALL_PERIOD = 15 * CSI_RATE_HZ, FALL_HALF = 6, FALL_REST = 20 };
enum { RISE = 5 * CSI_RATE_HZ };
enum { NOISE_FLOOR_DBM = -92, USUAL_RSSI_DBM = -48 };

static const uint8_t access_point[6] = {0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
static const uint8_t stranger[6] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66};

/* xorshift32 (Marsaglia 2003, "Xorshift RNGs"); the state is never zero. */
static uint32_t random_bits(struct csi_source *source) {
  uint32_t x = source->noise;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return source->noise = x;
}

/* Neighbouring seeds must not give similar states (finaliser of MurmurHash3). */
static uint32_t scatter(uint32_t x) {
  x ^= x >> 16;
  x *= 0x85ebca6bu;
  x ^= x >> 13;
  x *= 0xc2b2ae35u;
  return x ^ x >> 16;
}

void csi_init(struct csi_source *source, uint8_t scenario, uint8_t channel, const uint8_t *filter_mac, uint32_t seed) {
  source->scenario = scenario;
  source->channel = channel;
  source->filter_mac = filter_mac;
  source->seed = scatter(seed + 0x9e3779b9u);
  source->noise = source->seed | 1u;
  float fade = (float)(random_bits(source) >> 8) / 16777216.0f;
  float delay = (float)(random_bits(source) >> 8) / 16777216.0f;
  for (int k = 0; k < CSI_SUBCARRIERS; k++) {
    float position = (float)k / CSI_SUBCARRIERS;
    float amplitude = 100.0f + 15.0f * fm_cos_turns(2.0f * position + fade); /* frequency selective fading */
    float turns = position * (1.0f + delay) + fade;
    source->cosine[k] = amplitude * fm_cos_turns(turns);
    source->sine[k] = amplitude * fm_sin_turns(turns);
  }
}

uint8_t csi_scenario_at(uint8_t scenario, uint32_t number) {
  return scenario == CSI_EVERYTHING ? (uint8_t)(number / CSI_ALL_DWELL % CSI_SCENARIOS) : scenario;
}

bool csi_burst_at(uint8_t scenario, uint32_t number) {
  if (csi_scenario_at(scenario, number) != CSI_BURST) {
    return false;
  }
  if (scenario == CSI_EVERYTHING) { /* halfway through its turn */
    return number % CSI_ALL_DWELL == CSI_ALL_DWELL / 2;
  }
  return number >= BURST_FIRST && (number - BURST_FIRST) % BURST_PERIOD == 0;
}

/* Sine of a wave of that many thousandths of a hertz at that sample, exactly periodic however large the number. */
static float wave(uint32_t number, uint32_t millihertz) {
  uint32_t period = CSI_RATE_HZ * 1000u;
  return fm_sin_turns((float)(number % period * millihertz % period) / (float)period);
}

static float breathing_phase(uint32_t number) { return 0.30f * wave(number, 250) + 0.010f * wave(number, 1200); }

/* Steps at 0.9 Hz with an acceleration of 0.104 (2 pi 0.9)^2 = 3.3 rad/s^2, and a slow sway. */
static float walking_phase(uint32_t number) { return 0.104f * wave(number, 900) + 0.12f * wave(number, 300); }

static float two_persons_phase(uint32_t number) { return 0.25f * wave(number, 200) + 0.20f * wave(number, 450); }

/* Standing, then falling with 20 rad/s^2 for 0.3 s, hitting the floor with the same deceleration, lying still, and
 * getting up slowly, in half a cosine of five seconds (less than 0.4 rad/s^2). */
static float fall_phase(uint32_t number) {
  const float accelerate = 20.0f / (CSI_RATE_HZ * CSI_RATE_HZ), depth = accelerate * FALL_HALF * FALL_HALF;
  uint32_t at = (number + FALL_PERIOD - FALL_FIRST) % FALL_PERIOD; /* samples since the fall began */
  if (number < FALL_FIRST) {
    return 0.0f;
  }
  if (at < FALL_HALF) {
    return 0.5f * accelerate * (float)(at * at);
  }
  if (at < 2 * FALL_HALF) {
    float left = (float)(2 * FALL_HALF - at);
    return depth - 0.5f * accelerate * left * left;
  }
  if (at < 2 * FALL_HALF + FALL_REST) {
    return depth;
  }
  at -= 2 * FALL_HALF + FALL_REST;
  return at < RISE ? depth * (0.5f + 0.5f * fm_cos_turns((float)at / (2.0f * RISE))) : 0.0f;
}

/* The turn of all subcarriers by what happens in the room, in radians. */
static float body_phase(uint8_t scenario, uint32_t number) {
  switch (scenario) {
    case CSI_EMPTY_ROOM:
    case CSI_ZERO_LENGTH:
      return 0.0f;
    case CSI_WALKING:
      return walking_phase(number);
    case CSI_FALL:
      return fall_phase(number) + 0.2f * breathing_phase(number);
    case CSI_TWO_PERSONS:
      return two_persons_phase(number);
    default:
      return breathing_phase(number);
  }
}

/* Sixteen random bits, as a value between a third below and a third above zero. */
static float noise_of(uint32_t bits) {
  int32_t centred = 2 * (int32_t)bits - 65535;
#ifdef __SOFTFP__
  return fm_divide_by_196608(centred);
#else
  return (float)centred / 196608.0f;
#endif
}

static int8_t quantise(float value) {
  int32_t rounded = (int32_t)(value + 1000.5f) - 1000; /* rounds to nearest, also below zero */
  return (int8_t)(rounded > 127 ? 127 : rounded < -128 ? -128 : rounded);
}

static void fill_subcarriers(struct csi_source *source, float phase, int8_t *iq) {
  float turns = phase / (2.0f * FM_PI);
  float cosine = fm_cos_turns(turns), sine = fm_sin_turns(turns);
  for (int k = 0; k < CSI_SUBCARRIERS; k++) {
    uint32_t noise = random_bits(source); /* a third of a step, uniform, in either component */
    float noise_i = noise_of(noise & 0xffff);
    float noise_q = noise_of(noise >> 16);
    iq[2 * k] = quantise(source->cosine[k] * cosine - source->sine[k] * sine + noise_i);
    iq[2 * k + 1] = quantise(source->cosine[k] * sine + source->sine[k] * cosine + noise_q);
  }
}

static int8_t rssi_of(uint8_t scenario, uint32_t number) {
  return (int8_t)(scenario == CSI_RSSI_SWEEP ? -90 + (int)(number % 81u) : USUAL_RSSI_DBM);
}

void csi_generate(struct csi_source *source, uint32_t number, struct csi_sample *sample) {
  static const uint8_t sweep[3] = {1, 6, 11};
  uint8_t scenario = csi_scenario_at(source->scenario, number);
  const uint8_t *expected = source->filter_mac ? source->filter_mac : access_point;
  source->noise = scatter(source->seed ^ number) | 1u;
  sample->number = number;
  sample->antennas = 1;
  sample->subcarriers = scenario == CSI_ZERO_LENGTH ? 0 : CSI_SUBCARRIERS;
  sample->channel = scenario == CSI_CHANNEL_SWEEP ? sweep[number / CSI_RATE_HZ % 3] : source->channel;
  sample->rssi = rssi_of(scenario, number);
  sample->noise_floor = NOISE_FLOOR_DBM;
  memcpy(sample->transmitter, scenario == CSI_WRONG_MAC && number % 2 ? stranger : expected, 6);
  fill_subcarriers(source, body_phase(scenario, number), sample->iq);
}
