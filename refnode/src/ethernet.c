/* Frames in and out, and the start of the stack. */
#include "config.h"
#include "hal.h"
#include "log.h"
#include "net.h"

enum { POLL_BATCH = 32 }; /* frames between two looks at the timers */

struct net_counters net_counters;
struct net_interface net_interface;

bool net_start(const uint8_t mac[6], bool present) {
  memcpy(net_interface.mac, mac, 6);
  net_interface.ip = config.ip;
  net_interface.mask = config.prefix ? UINT32_MAX << (32 - config.prefix) : 0;
  net_interface.gateway = config.gateway;
  net_interface.up = present;
  arp_start();
  if (!present) {
    LOG_ERROR("net", "no network interface");
    return false;
  }
  LOG_INFO("net", "ip=" IP_FORMAT "/%u mac=" MAC_FORMAT, IP_ARGUMENTS(config.ip), config.prefix, MAC_ARGUMENTS(mac));
  return true;
}

uint8_t *ethernet_begin(const uint8_t target[6], uint16_t type) {
  uint8_t *frame = net_interface.up ? hal_nic_send_buffer() : NULL;
  if (!frame) {
    net_counters.queue_full++;
    return NULL;
  }
  memcpy(frame, target, 6);
  memcpy(frame + 6, net_interface.mac, 6);
  put_be16(frame + 12, type);
  return frame + ETHERNET_HEADER;
}

void ethernet_send(size_t payload_length) {
  hal_nic_send(ETHERNET_HEADER + payload_length);
  net_counters.sent++;
}

static bool is_for_us(const uint8_t target[6]) {
  static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  static const uint8_t beacon[6] = {0x01, 0x00, 0x5e, 0x53, 0x57, 0x01}; /* RFC 1112, section 6.4 */
  return memcmp(target, net_interface.mac, 6) == 0 || memcmp(target, broadcast, 6) == 0 ||
         memcmp(target, beacon, 6) == 0;
}

static void receive(const uint8_t *frame, size_t length) {
  if (length < ETHERNET_HEADER) {
    net_counters.malformed++;
    return;
  }
  if (!is_for_us(frame)) {
    return;
  }
  net_counters.received++;
  const uint8_t *payload = frame + ETHERNET_HEADER;
  length -= ETHERNET_HEADER;
  uint16_t type = be16(frame + 12);
  if (type == ETHERTYPE_IPV4) {
    ipv4_receive(payload, length);
  } else if (type == ETHERTYPE_ARP) {
    arp_receive(payload, length);
  }
}

bool net_poll(void) {
  for (int i = 0; i < POLL_BATCH; i++) {
    size_t length;
    const uint8_t *frame = net_interface.up ? hal_nic_receive(&length) : NULL;
    if (!frame) {
      return false;
    }
    receive(frame, length);
    hal_nic_release();
  }
  return true;
}
