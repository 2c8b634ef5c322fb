/* Mock channel state information: what a radio would report of a room, twenty times a second.
 *
 * The model of a sample: 52 subcarriers of a static channel, turned by a phase that the people in the room cause
 * (the longer the reflected path, the further the turn), plus receiver noise. Everything is a function of
 * scenario, seed and sample number, never of the clock or of the samples before. */
#ifndef CSI_H
#define CSI_H

#include "base.h"

enum {
  CSI_SUBCARRIERS = 52,
  CSI_RATE_HZ = 20,
  CSI_SAMPLE_US = 50000,
  CSI_BURST_FRAMES = 1000,
  CSI_BURST_SPACING_US = 100,
  CSI_SCENARIOS = 10,
  CSI_ALL_DWELL = 200, /* samples that scenario 255 stays in each of the ten */
};

enum csi_scenario {
  CSI_EMPTY_ROOM = 0,
  CSI_STATIC_PERSON = 1, /* breathing 0.25 Hz, heart 1.2 Hz */
  CSI_WALKING = 2,
  CSI_FALL = 3, /* every 15 s, first after 6 s */
  CSI_TWO_PERSONS = 4, /* breathing 0.2 and 0.45 Hz */
  CSI_CHANNEL_SWEEP = 5, /* channels 1, 6, 11, one second each */
  CSI_WRONG_MAC = 6, /* every second frame comes from a stranger */
  CSI_BURST = 7, /* 1000 frames within 100 ms, after 5 s and then every 30 s */
  CSI_RSSI_SWEEP = 8, /* -90 to -10 dBm in steps of one */
  CSI_ZERO_LENGTH = 9, /* frames without subcarriers */
  CSI_EVERYTHING = 255, /* 0 to 9, each for ten seconds */
};

struct csi_source {
  uint8_t scenario;
  uint8_t channel;
  const uint8_t *filter_mac; /* NULL: no filter; else the transmitter is the one we listen for */
  uint32_t seed;
  uint32_t noise; /* state of the generator */
  float cosine[CSI_SUBCARRIERS], sine[CSI_SUBCARRIERS]; /* the static channel */
};

struct csi_sample {
  uint32_t number; /* of the 50 ms sample it belongs to */
  uint8_t antennas;
  uint16_t subcarriers;
  uint8_t channel;
  int8_t rssi, noise_floor;
  uint8_t transmitter[6];
  int8_t iq[2 * CSI_SUBCARRIERS]; /* I, Q of each subcarrier */
};

/* Different seeds give different rooms and noise. */
void csi_init(struct csi_source *source, uint8_t scenario, uint8_t channel, const uint8_t *filter_mac, uint32_t seed);

/* Sample `number`, the same whenever it is asked for. */
void csi_generate(struct csi_source *source, uint32_t number, struct csi_sample *sample);

/* The scenario in force at that sample: itself, or one of the ten for 255. */
uint8_t csi_scenario_at(uint8_t scenario, uint32_t number);

/* True when a burst starts with that sample. */
bool csi_burst_at(uint8_t scenario, uint32_t number);

#endif
