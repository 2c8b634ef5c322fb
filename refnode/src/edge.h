/* Edge processing: what can be said of the room from the phase of the samples alone.
 *
 * Tier 0 nothing; tier 1 presence and motion; tier 2 also breathing, heart and falls.
 * The turn between two samples is the angle of sum_k H_k[n] conj(H_k[n-1]): every subcarrier counts by its power
 * and nothing has to be unwrapped. */
#ifndef EDGE_H
#define EDGE_H

#include "base.h"
#include "csi.h"
#include "wire.h"

enum {
  EDGE_SECOND = CSI_RATE_HZ,
  EDGE_DECIMATION = 4, /* vitals work on means of four samples: 5 Hz */
  EDGE_HISTORY = 64,   /* of them: 12.8 s */
  EDGE_FALL_FRAMES = 3,
  EDGE_COOL_DOWN_FRAMES = 5 * CSI_RATE_HZ,
  EDGE_GAP_MAX = 4, /* samples: 0.2 s; a longer gap starts the phase anew */
};

struct edge_settings {
  uint8_t tier;
  uint16_t presence_threshold_mrad; /* 0: 20 mrad */
  uint16_t fall_threshold_mrad;     /* per s^2 */
  uint16_t window_frames;           /* 32..256 */
  uint8_t subcarriers;              /* the strongest n serve the vitals, 1..52 */
};

struct edge {
  struct edge_settings settings;
  /* the sample before */
  int8_t previous[2 * CSI_SUBCARRIERS];
  uint8_t channel;
  uint32_t number;
  uint8_t known; /* 0: no sample, 1: a sample, 2: a turn too, so accelerations can be told */
  float turn;    /* per sample period, between the last two samples, rad */
  uint32_t gap;  /* sample periods between them */
  /* falls */
  uint8_t fast_frames;
  uint16_t cool_down; /* frames left */
  float peak;         /* of the fast frames, rad/s^2 */
  /* motion: the last second's squared accelerations */
  float squares[EDGE_SECOND];
  uint32_t square_count;
  /* vitals */
  uint8_t strongest[CSI_SUBCARRIERS]; /* indices, strongest first */
  float phase;                        /* of the strongest, unwrapped */
  float phase_sum;                    /* towards the next decimated value */
  uint8_t phase_count;
  float history[EDGE_HISTORY];
  uint32_t history_count;
  int8_t rssi;
};

/* What one sample showed. */
struct edge_event {
  bool has_acceleration;
  float acceleration; /* rad/s^2, signed */
  bool fall;          /* detected with this sample */
  uint32_t fall_peak; /* mrad/s^2 */
};

void edge_init(struct edge *edge, const struct edge_settings *settings);

/* Take the next sample. A long gap in the numbers, another channel or an empty sample starts the phase anew. */
struct edge_event edge_feed(struct edge *edge, const struct csi_sample *sample);

void edge_vitals(const struct edge *edge, struct vitals *vitals);

#endif
