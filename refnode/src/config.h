/* What the node is told to be: compiled defaults, overridden by NVS. */
#ifndef CONFIG_H
#define CONFIG_H

#include "base.h"

enum role { ROLE_SENSOR = 0, ROLE_COORDINATOR = 1, ROLE_GATEWAY = 2 };

enum { SCENARIO_ALL = 255, HOP_CHANNELS = 16 };

struct config {
  /* namespace csi_cfg */
  char ssid[33];
  uint32_t target_ip;
  uint16_t target_port;
  uint8_t node_id, tdm_slot, tdm_nodes, edge_tier;
  uint16_t presence_threshold; /* mrad, 0: the built-in one */
  uint16_t fall_threshold;     /* mrad/s^2 */
  uint16_t vitals_window;      /* frames */
  uint16_t vitals_interval_ms;
  uint8_t subcarriers_used; /* the strongest n serve the vitals */
  uint8_t channel;
  bool filter;
  uint8_t filter_mac[6];
  uint8_t hop_count;
  uint8_t hop_channels[HOP_CHANNELS];
  uint32_t dwell_ms;
  uint8_t power_duty;
  /* namespace swarmrig */
  uint8_t role;
  bool hub; /* receives, beacons and forwards */
  uint8_t scenario;
  uint32_t ip, gateway; /* gateway 0: none */
  uint8_t prefix;
  uint32_t aggregator_ip;
  uint32_t seed;
};

extern struct config config;

struct nvs;

/* The NVS partition of the flash: where the partition table says, else where ESP-IDF has it by default. */
void config_open_nvs(struct nvs *nvs);

/* Fill `config`; everything that an image of the flash does not say follows from the MAC or is a constant. */
void config_load(const uint8_t mac[6]);

const char *config_role_name(uint8_t role);

/* WiFi channels 1..14 and 36..177. */
bool config_channel_exists(uint32_t channel);

/* "10.0.1.7" to a number; false for anything that is not exactly an IPv4 address. */
bool config_parse_ip(const char *text, uint32_t *ip);

#endif
