#include "config.h"

#include "counter.h"
#include "hal.h"
#include "log.h"
#include "nvs.h"
#include "partition.h"

#define TAG "nvs"
#define CSI_SPACE "csi_cfg"
#define OWN_SPACE "swarmrig"
#define NVS_OFFSET 0x9000u
#define NVS_SIZE 0x6000u

struct config config;

/* The address plan of a flat network gives node n the address 10.0.(1 + n / 200).(10 + n % 200); the last byte of
 * the MAC is the node's number. So a node without configuration still answers where it is expected. */
static void set_defaults(const uint8_t mac[6]) {
  uint32_t number = mac[5];
  config = (struct config){
      .target_ip = 0x0a000001, .target_port = 5005,
      .node_id = (uint8_t)number, .tdm_slot = 0, .tdm_nodes = 1, .edge_tier = 2,
      .presence_threshold = 0, .fall_threshold = 15000, .vitals_window = 256, .vitals_interval_ms = 1000,
      .subcarriers_used = 8, .channel = 6, .dwell_ms = 100, .power_duty = 100,
      .role = ROLE_SENSOR, .hub = false, .scenario = 0,
      .ip = 0x0a000000u | (1 + number / 200) << 8 | (10 + number % 200), .prefix = 16,
      .aggregator_ip = 0x0a000001, .seed = 0,
  };
}

bool config_parse_ip(const char *text, uint32_t *ip) {
  uint32_t value = 0;
  for (int part = 0; part < 4; part++) {
    uint32_t number = 0;
    int digits = 0;
    for (; *text >= '0' && *text <= '9' && digits < 3; text++, digits++) {
      number = number * 10 + (uint32_t)(*text - '0');
    }
    if (digits == 0 || number > 255 || *text != (part < 3 ? '.' : '\0')) {
      return false;
    }
    text++;
    value = value << 8 | number;
  }
  *ip = value;
  return true;
}

static void get_u8(const struct nvs *nvs, const char *space, const char *key, uint8_t *value) {
  uint32_t raw;
  if (nvs_get_uint(nvs, space, key, UINT8_MAX, &raw)) {
    *value = (uint8_t)raw;
  }
}

static void get_u16(const struct nvs *nvs, const char *key, uint16_t *value) {
  uint32_t raw;
  if (nvs_get_uint(nvs, CSI_SPACE, key, UINT16_MAX, &raw)) {
    *value = (uint16_t)raw;
  }
}

static void get_ip(const struct nvs *nvs, const char *space, const char *key, uint32_t *ip) {
  char text[16];
  if (nvs_get_string(nvs, space, key, text, sizeof text) && !config_parse_ip(text, ip)) {
    LOG_WARN(TAG, "%s is not an IPv4 address: '%s', ignored", key, text);
  }
}

static void read_csi_space(const struct nvs *nvs) {
  size_t length;
  nvs_get_string(nvs, CSI_SPACE, "ssid", config.ssid, sizeof config.ssid);
  get_ip(nvs, CSI_SPACE, "target_ip", &config.target_ip);
  get_u16(nvs, "target_port", &config.target_port);
  get_u8(nvs, CSI_SPACE, "node_id", &config.node_id);
  get_u8(nvs, CSI_SPACE, "tdm_slot", &config.tdm_slot);
  get_u8(nvs, CSI_SPACE, "tdm_nodes", &config.tdm_nodes);
  get_u8(nvs, CSI_SPACE, "edge_tier", &config.edge_tier);
  get_u16(nvs, "pres_thresh", &config.presence_threshold);
  get_u16(nvs, "fall_thresh", &config.fall_threshold);
  get_u16(nvs, "vital_win", &config.vitals_window);
  get_u16(nvs, "vital_int", &config.vitals_interval_ms);
  get_u8(nvs, CSI_SPACE, "subk_count", &config.subcarriers_used);
  get_u8(nvs, CSI_SPACE, "csi_channel", &config.channel);
  config.filter =
      nvs_get_blob(nvs, CSI_SPACE, "filter_mac", config.filter_mac, sizeof config.filter_mac, &length) && length == 6;
  get_u8(nvs, CSI_SPACE, "hop_count", &config.hop_count);
  if (!nvs_get_blob(nvs, CSI_SPACE, "chan_list", config.hop_channels, HOP_CHANNELS, &length)) {
    length = 0;
  }
  config.hop_count = config.hop_count <= length ? config.hop_count : 0;
  nvs_get_uint(nvs, CSI_SPACE, "dwell_ms", UINT32_MAX, &config.dwell_ms);
  get_u8(nvs, CSI_SPACE, "power_duty", &config.power_duty);
}

static void read_own_space(const struct nvs *nvs) {
  uint8_t hub = config.hub;
  get_u8(nvs, OWN_SPACE, "role", &config.role);
  get_u8(nvs, OWN_SPACE, "hub", &hub);
  config.hub = hub != 0;
  get_u8(nvs, OWN_SPACE, "scenario", &config.scenario);
  get_ip(nvs, OWN_SPACE, "ip", &config.ip);
  get_u8(nvs, OWN_SPACE, "prefix", &config.prefix);
  get_ip(nvs, OWN_SPACE, "gw", &config.gateway);
  get_ip(nvs, OWN_SPACE, "agg_ip", &config.aggregator_ip);
  nvs_get_uint(nvs, OWN_SPACE, "seed", UINT32_MAX, &config.seed);
}

/* A value outside of what the firmware can do is replaced, and said. */
static void correct(const char *key, uint32_t value, bool good, uint32_t instead) {
  if (!good) {
    LOG_WARN(TAG, "%s=%u is out of range, using %u", key, (unsigned)value, (unsigned)instead);
  }
}

#define CORRECT(key, field, condition, instead)            \
  do {                                                     \
    correct(key, config.field, condition, instead);        \
    config.field = (condition) ? config.field : (instead); \
  } while (0)

bool config_channel_exists(uint32_t channel) {
  return (channel >= 1 && channel <= 14) || (channel >= 36 && channel <= 177);
}

static void correct_ranges(void) {
  for (uint8_t i = 0; i < config.hop_count; i++) {
    CORRECT("chan_list", hop_channels[i], config_channel_exists(config.hop_channels[i]), 6);
  }
  CORRECT("edge_tier", edge_tier, config.edge_tier <= 2, 2);
  CORRECT("tdm_nodes", tdm_nodes, config.tdm_nodes > 0, 1);
  CORRECT("tdm_slot", tdm_slot, config.tdm_slot < config.tdm_nodes, config.tdm_slot % config.tdm_nodes);
  CORRECT("csi_channel", channel, config_channel_exists(config.channel), 6);
  CORRECT("fall_thresh", fall_threshold, config.fall_threshold > 0, 15000);
  CORRECT("vital_win", vitals_window, config.vitals_window >= 32 && config.vitals_window <= 256, 256);
  CORRECT("vital_int", vitals_interval_ms, config.vitals_interval_ms >= 50, 1000);
  CORRECT("subk_count", subcarriers_used, config.subcarriers_used >= 1 && config.subcarriers_used <= 32, 8);
  CORRECT("target_port", target_port, config.target_port > 0, 5005);
  CORRECT("prefix", prefix, config.prefix >= 1 && config.prefix <= 32, 16);
  CORRECT("role", role, config.role <= ROLE_GATEWAY, ROLE_SENSOR);
  CORRECT("scenario", scenario, config.scenario <= 9 || config.scenario == SCENARIO_ALL, 0);
  CORRECT("dwell_ms", dwell_ms, config.dwell_ms >= 50, 100);
}

void config_open_nvs(struct nvs *nvs) {
  struct partition partition = {NVS_OFFSET, NVS_SIZE};
  partition_find_nvs(hal_flash, hal_flash_size, &partition);
  nvs_open(nvs, hal_flash + partition.offset, partition.size);
}

/* What earlier runs of the firmware wrote, or tried to write when the power went. */
static void report_writes(const struct nvs *nvs) {
  uint32_t writes;
  if (nvs->torn) {
    LOG_WARN(TAG, "NVS write was cut off (page %u entry %u), using what was there before",
             (unsigned)(nvs->torn_place / 1000), (unsigned)(nvs->torn_place % 1000));
  }
  if (nvs_get_uint(nvs, COUNTER_SPACE, COUNTER_KEY, UINT32_MAX, &writes)) {
    LOG_INFO(TAG, "writes=%u", (unsigned)writes);
  }
}

void config_load(const uint8_t mac[6]) {
  set_defaults(mac);
  struct nvs nvs;
  config_open_nvs(&nvs);
  if (nvs.state == NVS_DAMAGED) {
    LOG_WARN(TAG, "NVS damaged (%s, page %u entry %u), using defaults", nvs.reason, (unsigned)(nvs.place / 1000),
             (unsigned)(nvs.place % 1000));
  } else if (nvs.state == NVS_EMPTY) {
    LOG_INFO(TAG, "NVS is empty, using defaults");
  } else {
    read_csi_space(&nvs);
    read_own_space(&nvs);
    correct_ranges();
  }
  report_writes(&nvs);
}

const char *config_role_name(uint8_t role) {
  static const char *const names[] = {"sensor", "coordinator", "gateway"};
  return role < COUNT_OF(names) ? names[role] : "unknown";
}
