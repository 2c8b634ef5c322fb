/* The datagrams of the swarm, all little endian. */
#ifndef WIRE_H
#define WIRE_H

#include "base.h"
#include "csi.h"

enum {
  CSI_HEADER_BYTES = 20,
  CSI_SUBCARRIERS_LIMIT = 512,
  VITALS_BYTES = 32,
  BEACON_BYTES = 24,
  SYNC_REQUEST_BYTES = 16,
  SYNC_RESPONSE_BYTES = 32,
  SUPERFRAME_US = 50000,
};

/* No clock says more, so that differences of times fit into 64 signed bits. */
#define WIRE_TIME_LIMIT ((uint64_t)1 << 62)

#define CSI_MAGIC 0xc5110001u
#define VITALS_MAGIC 0xc5110002u
#define BEACON_MAGIC 0xc5110010u
#define SYNC_REQUEST_MAGIC 0xc5110011u
#define SYNC_RESPONSE_MAGIC 0xc5110012u

enum { VITALS_PRESENCE = 1, VITALS_FALL = 2, VITALS_MOTION = 4 };

struct vitals {
  uint8_t flags;
  uint8_t persons;
  int8_t rssi;
  float breathing_bpm, heart_bpm; /* 0: not known */
  float motion_energy;            /* root mean square of the phase's acceleration over the last second, rad/s^2 */
  float presence_score;           /* standard deviation of the phase over the last five seconds, rad */
};

/* Encode into `out` (CSI_HEADER_BYTES + sizeof sample->iq is always enough) all but the sequence number; returns the
 * length. */
size_t wire_put_csi(uint8_t *out, uint8_t node, const struct csi_sample *sample);
void wire_put_csi_sequence(uint8_t *out, uint32_t sequence);

void wire_put_vitals(uint8_t out[VITALS_BYTES], uint8_t node, uint32_t now_ms, const struct vitals *vitals);

/* What is wrong with a received data datagram: NULL if it is a well-formed CSI frame or vitals packet. */
const char *wire_data_fault(const uint8_t *data, size_t length);

struct beacon {
  uint8_t node, tdm_nodes;
  uint32_t number;
  uint64_t epoch_us; /* the hub's clock at the start of superframe `number` */
};

void wire_put_beacon(uint8_t out[BEACON_BYTES], const struct beacon *beacon);

/* False unless it is a beacon of this version with superframes of SUPERFRAME_US and a possible time. */
bool wire_get_beacon(const uint8_t *data, size_t length, struct beacon *beacon);

/* WiFi channel to its centre frequency; 0 for a channel that does not exist. */
uint32_t wire_frequency_mhz(uint8_t channel);

#endif
