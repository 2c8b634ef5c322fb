#include "hub.h"

#include "bugs.h"
#include "config.h"
#include "hal.h"
#include "heap.h"
#include "log.h"
#include "net.h"
#include "tdm.h"
#include "timer.h"
#include "wire.h"

#define TAG "coord"
#define REPORT_US 5000000u

enum { NODES = 256, RESTART_DISTANCE = 32, FAULTS_LOGGED = 20 };

struct node {
  uint32_t frames, gaps, late; /* late: repeated or overtaken */
  uint32_t reported_frames;    /* at the last report */
  uint32_t expected;           /* next sequence number */
};

static struct node *nodes[NODES]; /* by node id, allocated when first heard of */
static struct timer beacon_timer, report_timer;
static uint64_t reported_us;
static uint32_t malformed;

static void send_beacon(void) {
  uint8_t packet[BEACON_BYTES];
  uint32_t number = (uint32_t)(hal_time_us() / SUPERFRAME_US);
  struct beacon beacon = {.node = config.node_id,
                          .tdm_nodes = config.tdm_nodes,
                          .number = number,
                          .epoch_us = (uint64_t)number * SUPERFRAME_US};
  wire_put_beacon(packet, &beacon);
  net_send_udp(NET_MULTICAST_BEACON, tdm_port(), tdm_port(), packet, sizeof packet);
  timer_set(&beacon_timer, beacon.epoch_us + SUPERFRAME_US);
}

static void answer_time(const struct datagram *datagram) {
  uint64_t received = hal_time_us();
  uint8_t response[SYNC_RESPONSE_BYTES];
  if (datagram->length != SYNC_REQUEST_BYTES || le32(datagram->data) != SYNC_REQUEST_MAGIC) {
    return;
  }
  put_le32(response, SYNC_RESPONSE_MAGIC);
  response[4] = config.node_id;
  response[5] = datagram->data[4];
  put_le16(response + 6, 0);
  memcpy(response + 8, datagram->data + 8, 8);
  put_le64(response + 16, received);
  put_le64(response + 24, hal_time_us());
  net_send_udp(datagram->source_ip, tdm_port(), datagram->source_port, response, sizeof response);
}

static struct node *node_of(uint8_t id, uint32_t sequence) {
  if (!nodes[id]) {
    struct node *node = heap_allocate(sizeof *node);
    if (!node) {
      return NULL;
    }
    *node = (struct node){.expected = sequence};
    nodes[id] = node;
    LOG_INFO(TAG, "first frame from node_id=%u", id);
  }
  return nodes[id];
}

static void count_frame(uint8_t id, uint32_t sequence) {
  struct node *node = node_of(id, sequence);
  if (!node) {
    return;
  }
  int32_t ahead = (int32_t)(sequence - node->expected);
  node->frames++;
  if (ahead < -RESTART_DISTANCE) {
    LOG_WARN(TAG, "sequence of node_id=%u started anew at %u", id, (unsigned)sequence);
  } else if (ahead < 0) {
    node->late++;
    return;
  } else {
    node->gaps += (uint32_t)ahead;
  }
  node->expected = sequence + 1;
}

static void receive(const struct datagram *datagram) {
  if (BUG_DEAF_COORDINATOR) {
    return;
  }
  const char *fault = wire_data_fault(datagram->data, datagram->length);
  if (fault) {
    if (malformed++ < FAULTS_LOGGED) {
      LOG_WARN(TAG, "malformed datagram from " IP_FORMAT ": %s", IP_ARGUMENTS(datagram->source_ip), fault);
    }
    return;
  }
  if (le32(datagram->data) == CSI_MAGIC) {
    count_frame(datagram->data[4], le32(datagram->data + 12));
  }
  net_send_udp(config.aggregator_ip, config.target_port, config.target_port, datagram->data, datagram->length);
}

static void report(void) {
  uint64_t now = hal_time_us();
  uint32_t interval_ms = (uint32_t)((now - reported_us) / 1000);
  for (unsigned id = 0; id < NODES; id++) {
    struct node *node = nodes[id];
    if (node) {
      uint32_t rate = ((node->frames - node->reported_frames) * 10000u + interval_ms / 2) / interval_ms;
      LOG_INFO(TAG, "node_id=%u frames=%u gaps=%u rate=%u.%u", id, (unsigned)node->frames, (unsigned)node->gaps,
               (unsigned)rate / 10, (unsigned)rate % 10);
      node->reported_frames = node->frames;
    }
  }
  if (malformed) {
    LOG_WARN(TAG, "malformed=%u", (unsigned)malformed);
  }
  reported_us = now;
  timer_set(&report_timer, now + REPORT_US);
}

void hub_start(void) {
  uint64_t now = hal_time_us();
  net_listen(config.target_port, receive);
  net_listen(tdm_port(), answer_time);
  timer_add(&beacon_timer, send_beacon);
  timer_add(&report_timer, report);
  timer_set(&beacon_timer, now - now % SUPERFRAME_US + SUPERFRAME_US);
  timer_set(&report_timer, now + REPORT_US);
  reported_us = now;
}
