#include "wire.h"

uint32_t wire_frequency_mhz(uint8_t channel) {
  if (channel >= 1 && channel <= 13) {
    return 2412u + 5u * (channel - 1u);
  }
  if (channel == 14) {
    return 2484;
  }
  return channel >= 36 && channel <= 177 ? 5000u + 5u * channel : 0;
}

size_t wire_put_csi(uint8_t *out, uint8_t node, const struct csi_sample *sample) {
  size_t bytes = 2u * sample->antennas * sample->subcarriers;
  put_le32(out, CSI_MAGIC);
  out[4] = node;
  out[5] = sample->antennas;
  put_le16(out + 6, sample->subcarriers);
  put_le32(out + 8, wire_frequency_mhz(sample->channel));
  out[16] = (uint8_t)sample->rssi;
  out[17] = (uint8_t)sample->noise_floor;
  put_le16(out + 18, 0);
  memcpy(out + CSI_HEADER_BYTES, sample->iq, bytes);
  return CSI_HEADER_BYTES + bytes;
}

void wire_put_csi_sequence(uint8_t *out, uint32_t sequence) { put_le32(out + 12, sequence); }

static void put_float(uint8_t *out, float value) {
  union {
    float f;
    uint32_t u;
  } bits = {.f = value};
  put_le32(out, bits.u);
}

void wire_put_vitals(uint8_t out[VITALS_BYTES], uint8_t node, uint32_t now_ms, const struct vitals *vitals) {
  memset(out, 0, VITALS_BYTES);
  put_le32(out, VITALS_MAGIC);
  out[4] = node;
  out[5] = vitals->flags;
  put_le16(out + 6, (uint16_t)(vitals->breathing_bpm * 100.0f + 0.5f));
  put_le32(out + 8, (uint32_t)(vitals->heart_bpm * 10000.0f + 0.5f));
  out[12] = (uint8_t)vitals->rssi;
  out[13] = vitals->persons;
  put_float(out + 16, vitals->motion_energy);
  put_float(out + 20, vitals->presence_score);
  put_le32(out + 24, now_ms);
}

const char *wire_data_fault(const uint8_t *data, size_t length) {
  if (length < 4) {
    return "too short";
  }
  if (le32(data) == VITALS_MAGIC) {
    return length == VITALS_BYTES ? NULL : "vitals of the wrong length";
  }
  if (le32(data) != CSI_MAGIC) {
    return "unknown magic";
  }
  if (length < CSI_HEADER_BYTES) {
    return "too short";
  }
  uint32_t subcarriers = le16(data + 6);
  if (subcarriers > CSI_SUBCARRIERS_LIMIT) {
    return "too many subcarriers";
  }
  return length == CSI_HEADER_BYTES + 2u * data[5] * subcarriers ? NULL : "length contradicts the header";
}

void wire_put_beacon(uint8_t out[BEACON_BYTES], const struct beacon *beacon) {
  put_le32(out, BEACON_MAGIC);
  out[4] = 1;
  out[5] = beacon->node;
  out[6] = beacon->tdm_nodes;
  out[7] = 0;
  put_le32(out + 8, beacon->number);
  put_le32(out + 12, SUPERFRAME_US);
  put_le64(out + 16, beacon->epoch_us);
}

bool wire_get_beacon(const uint8_t *data, size_t length, struct beacon *beacon) {
  if (length != BEACON_BYTES || le32(data) != BEACON_MAGIC || data[4] != 1 || le32(data + 12) != SUPERFRAME_US) {
    return false;
  }
  *beacon = (struct beacon){
      .node = data[5], .tdm_nodes = data[6], .number = le32(data + 8), .epoch_us = le64(data + 16)};
  return beacon->epoch_us < WIRE_TIME_LIMIT;
}
