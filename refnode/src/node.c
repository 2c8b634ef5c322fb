#include "node.h"

#include "bugs.h"
#include "config.h"
#include "csi.h"
#include "edge.h"
#include "hal.h"
#include "heap.h"
#include "log.h"
#include "net.h"
#include "tdm.h"
#include "timer.h"
#include "wire.h"

#define REPORT_US 5000000u
#define FLOOD_RETRY_US 500u
#define PANIC_US 10000000u

struct node_counters node_counters;

static struct csi_source source;
static struct csi_sample sample;
static struct edge edge;
static struct timer slot_timer, flood_timer, report_timer;
static struct tdm_slot slot;     /* the next one */
static uint64_t last_slot_us;    /* send time of the last one; 0: none yet */
static uint32_t next_number;     /* of the next sample */
static uint64_t next_vitals_us;
static bool sending = true;
static uint32_t sequence;
static uint32_t flood_left;
static uint64_t flood_next_us;
static uint32_t reported_frames;
static uint64_t reported_us;

/* The frame on its way to the interface. It is prepared as soon as the one before it has left and waits for its slot,
 * so who changes a byte of it (but for the sequence number) changes what goes over the wire. */
static uint8_t csi_frame[CSI_HEADER_BYTES + sizeof sample.iq];
static size_t csi_frame_length; /* 0: not prepared */

static uint32_t target(void) { return config.hub ? config.aggregator_ip : config.target_ip; }

static bool send(const uint8_t *data, size_t length) {
  /* A sample that waits for ARP would leave outside of its slot: better none. */
  if (net_resolve(target()) && net_send_udp(target(), config.target_port, config.target_port, data, length)) {
    return true;
  }
  node_counters.unsent++;
  return false;
}

static void leak(void) {
  static bool exhausted;
  exhausted = exhausted || !heap_allocate(1024) || !heap_allocate(1024);
}

static void prepare_sample(uint32_t number) {
  if (config.hop_count) {
    uint32_t hop = (uint32_t)((uint64_t)number * (CSI_SAMPLE_US / 1000) / config.dwell_ms);
    source.channel = config.hop_channels[hop % config.hop_count];
  }
  csi_generate(&source, number, &sample);
  csi_frame_length = wire_put_csi(csi_frame, config.node_id, &sample);
}

static bool send_csi(void) {
  if (BUG_MUTE) {
    return true;
  }
  if (csi_frame_length == 0) {
    prepare_sample(next_number);
  }
  wire_put_csi_sequence(csi_frame, sequence);
  if (BUG_CORRUPT_FRAME) {
    put_le16(csi_frame + 6, (uint16_t)(sample.subcarriers + (sequence % 2 ? 7 : 0)));
  }
  if (!send(csi_frame, csi_frame_length)) {
    return false;
  }
  sequence++;
  node_counters.frames++;
  if (BUG_LEAK_UNTIL_OOM) {
    leak();
  }
  return true;
}

/* Their memory is allocated each time: a node that has run out of it says so within a second, and sends none. */
static void send_vitals(uint64_t now) {
  struct vitals vitals;
  uint8_t *packet = heap_allocate(VITALS_BYTES);
  if (!packet) {
    node_counters.unsent++;
    return;
  }
  edge_vitals(&edge, &vitals);
  wire_put_vitals(packet, config.node_id, (uint32_t)(now / 1000), &vitals);
  node_counters.vitals += send(packet, VITALS_BYTES);
  heap_free(packet);
}

static bool passes_filter(void) { return !config.filter || memcmp(sample.transmitter, config.filter_mac, 6) == 0; }

static void plan_slot(void) {
  uint64_t after = hal_time_us();
  if (last_slot_us && after < last_slot_us + SUPERFRAME_US / 2) {
    after = last_slot_us + SUPERFRAME_US / 2; /* never twice in a superframe, however the offset moves */
  }
  if (tdm_next(after, &slot)) {
    timer_set(&slot_timer, slot.send_us);
  } else {
    timer_cancel(&slot_timer);
  }
}

/* Samples are numbered by time: superframes that passed unused (a stopped machine) are numbers left out. */
static void take_sample(void) {
  if (last_slot_us) {
    uint64_t periods = (slot.send_us - last_slot_us + SUPERFRAME_US / 2) / SUPERFRAME_US;
    next_number += periods ? (uint32_t)periods : 1;
  }
  last_slot_us = slot.send_us;
  if (csi_frame_length == 0 || sample.number != next_number) {
    prepare_sample(next_number);
  }
  node_counters.samples++;
  if (config.scenario == SCENARIO_ALL && next_number % CSI_ALL_DWELL == 0) {
    LOG_INFO("csi", "scenario=%u", csi_scenario_at(config.scenario, next_number));
  }
}

static void process_sample(void) {
  struct edge_event event = edge_feed(&edge, &sample);
  if (event.fall) {
    node_counters.falls++;
    LOG_WARN("edge", "fall detected node_id=%u accel=%u", config.node_id, (unsigned)event.fall_peak);
  }
}

static void run_slot(void) {
  uint64_t now = hal_time_us();
  bool late = tdm_status()->state == TDM_SYNCHRONISED && config.tdm_nodes > 1 && now >= slot.end_us;
  take_sample();
  node_counters.late += late;
  if (BUG_PANIC_AT_10S && now >= PANIC_US) {
    hal_load_from_nowhere();
  }
  bool may_send = sending && !late;
  if (!passes_filter()) {
    node_counters.filtered++;
  } else {
    if (may_send) {
      send_csi();
    }
    process_sample();
  }
  if (may_send && config.edge_tier > 0 && now >= next_vitals_us) {
    send_vitals(now);
    next_vitals_us = now + config.vitals_interval_ms * 1000u - SUPERFRAME_US / 2; /* the slot nearest to it */
  }
  if (csi_burst_at(config.scenario, next_number)) {
    node_flood(CSI_BURST_FRAMES);
  }
  plan_slot();
  prepare_sample(next_number + 1);
}

static void run_flood(void) {
  uint64_t now = hal_time_us();
  while (flood_left && flood_next_us <= now) {
    if (sending && !send_csi()) {
      timer_set(&flood_timer, now + FLOOD_RETRY_US);
      return;
    }
    flood_left--;
    flood_next_us += CSI_BURST_SPACING_US;
  }
  if (flood_left) {
    timer_set(&flood_timer, flood_next_us);
  } else {
    LOG_INFO("csi", "burst sent");
  }
}

void node_flood(uint32_t frames) {
  if (!flood_left) {
    flood_next_us = hal_time_us() + CSI_BURST_SPACING_US;
  }
  flood_left += frames;
  timer_set(&flood_timer, flood_next_us);
}

static void report_edge(void) {
  struct vitals vitals;
  edge_vitals(&edge, &vitals);
  unsigned motion = (unsigned)(vitals.motion_energy * 100.0f + 0.5f);
  unsigned breathing = (unsigned)(vitals.breathing_bpm * 10.0f + 0.5f);
  LOG_INFO("edge", "presence=%u motion=%u.%02u breathing=%u.%u", vitals.flags & VITALS_PRESENCE, motion / 100,
           motion % 100, breathing / 10, breathing % 10);
}

static void report(void) {
  uint64_t now = hal_time_us();
  uint32_t interval_ms = (uint32_t)((now - reported_us) / 1000);
  uint32_t rate = ((node_counters.frames - reported_frames) * 10000u + interval_ms / 2) / interval_ms;
  LOG_INFO("csi", "frame_rate=%u.%u frames=%u", (unsigned)rate / 10, (unsigned)rate % 10,
           (unsigned)node_counters.frames);
  if (config.edge_tier > 0) {
    report_edge();
  }
  reported_frames = node_counters.frames;
  reported_us = now;
  timer_set(&report_timer, now + REPORT_US);
}

void node_reconfigure(void) {
  struct edge_settings settings = {
      .tier = config.edge_tier,
      .presence_threshold_mrad = config.presence_threshold,
      .fall_threshold_mrad = config.fall_threshold,
      .window_frames = config.vitals_window,
      .subcarriers = config.subcarriers_used,
  };
  csi_init(&source, config.scenario, config.channel, config.filter ? config.filter_mac : NULL,
           config.seed + config.node_id);
  csi_frame_length = 0;
  edge_init(&edge, &settings);
  plan_slot();
}

void node_set_sending(bool on) { sending = on; }

void node_start(void) {
  timer_add(&slot_timer, run_slot);
  timer_add(&flood_timer, run_flood);
  timer_add(&report_timer, report);
  reported_us = hal_time_us();
  timer_set(&report_timer, reported_us + REPORT_US);
  net_resolve(target());
  tdm_start(plan_slot);
  node_reconfigure();
}
