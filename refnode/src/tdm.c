#include "tdm.h"

#include "bugs.h"
#include "config.h"
#include "hal.h"
#include "log.h"
#include "outage.h"
#include "timer.h"
#include "wire.h"

#define TAG "tdm"
#define PATIENCE_US 2000000u
#define FAST_EXCHANGE_US 100000u
#define EXCHANGE_US 1000000u
#define RESOLVE_US 10000u
#define STEP_MARGIN_US 1000
#define BEACON_AGE_LIMIT_US 2000000

/* The first exchanges may wait for ARP somewhere on the way, so a few are compared before they are trusted. */
enum { FAST_EXCHANGES = 5, ENOUGH_EXCHANGES = 3, FILTER = 8 };

struct exchange {
  int64_t offset_us;
  uint32_t delay_us;
};

static struct tdm_status status;
static void (*on_change)(void);
static struct timer exchange_timer, patience_timer;

static uint32_t hub_ip;
static uint8_t hub_node;
static uint64_t last_beacon_us; /* own clock; 0: none yet */
static int64_t beacon_offset;   /* best guess from beacons alone: the one that travelled fastest */
static struct exchange filter[FILTER];
static uint32_t sent_exchanges;
static uint64_t pending_t1; /* of the request on its way; 0: none */

uint16_t tdm_port(void) { return config.target_port == UINT16_MAX ? UINT16_MAX - 1 : config.target_port + 1; }

const struct tdm_status *tdm_status(void) { return &status; }

static void enter(enum tdm_state state) {
  if (status.state != state) {
    status.state = state;
    on_change();
  }
}

static void forget_hub(void) {
  timer_cancel(&exchange_timer);
  status.exchanges = sent_exchanges = 0;
  pending_t1 = 0;
  last_beacon_us = 0;
}

/* Two seconds passed without a beacon, or with beacons but without an answer. */
static void lose_patience(void) {
  uint64_t now = hal_time_us();
  if (last_beacon_us && now - last_beacon_us < PATIENCE_US) {
    timer_set(&patience_timer, last_beacon_us + PATIENCE_US);
    if (status.state != TDM_SYNCHRONISED && status.exchanges == 0) {
      LOG_WARN(TAG, "the hub does not answer, using its beacons alone");
      status.offset_us = beacon_offset;
    }
    enter(TDM_SYNCHRONISED);
    return;
  }
  if (status.state != TDM_FREE_RUNNING) {
    LOG_WARN(TAG, "no beacon for 2 s, running free");
    if (BUG_OUTAGE_REPORT) {
      outage_note(status.delay_us);
    }
  }
  forget_hub();
  enter(TDM_FREE_RUNNING);
}

static void request_exchange(void) {
  uint8_t request[SYNC_REQUEST_BYTES] = {0};
  uint64_t now = hal_time_us();
  if (!net_resolve(hub_ip)) { /* a request that waits for ARP would measure that */
    timer_set(&exchange_timer, now + RESOLVE_US);
    return;
  }
  pending_t1 = now;
  put_le32(request, SYNC_REQUEST_MAGIC);
  request[4] = config.node_id;
  put_le64(request + 8, now);
  net_send_udp(hub_ip, tdm_port(), tdm_port(), request, sizeof request);
  sent_exchanges++;
  timer_set(&exchange_timer, now + (sent_exchanges < FAST_EXCHANGES ? FAST_EXCHANGE_US : EXCHANGE_US));
}

/* Half a round trip bounds the error of an offset; two that lie further apart were taken of different clocks. */
static bool contradicts(const struct exchange *exchange) {
  int64_t apart = exchange->offset_us - status.offset_us;
  int64_t bound = (exchange->delay_us + status.delay_us) / 2 + STEP_MARGIN_US;
  return status.exchanges && (apart > bound || -apart > bound);
}

static void use_best_exchange(void) {
  uint32_t count = status.exchanges < FILTER ? status.exchanges : FILTER;
  const struct exchange *best = &filter[0];
  for (uint32_t i = 1; i < count; i++) {
    best = filter[i].delay_us < best->delay_us ? &filter[i] : best;
  }
  status.offset_us = best->offset_us;
  status.delay_us = best->delay_us;
}

static void receive_response(const struct datagram *datagram) {
  const uint8_t *data = datagram->data;
  uint64_t t4 = hal_time_us(), t1 = le64(data + 8), t2 = le64(data + 16), t3 = le64(data + 24);
  if (datagram->source_ip != hub_ip || data[5] != config.node_id || !pending_t1 || t1 != pending_t1) {
    return; /* late, doubled or not for us */
  }
  pending_t1 = 0;
  if (t3 < t2 || t3 - t2 > t4 - t1 || t3 >= WIRE_TIME_LIMIT) {
    return;
  }
  struct exchange exchange = {
      .offset_us = ((int64_t)(t2 - t1) + (int64_t)(t3 - t4)) / 2,
      .delay_us = (uint32_t)((t4 - t1) - (t3 - t2)),
  };
  if (contradicts(&exchange)) {
    LOG_WARN(TAG, "a clock was set, measuring anew");
    status.exchanges = 0;
  }
  filter[status.exchanges++ % FILTER] = exchange;
  use_best_exchange();
  if (status.exchanges == ENOUGH_EXCHANGES) {
    LOG_INFO(TAG, "synchronised with hub %u, round trip %u us", hub_node, (unsigned)status.delay_us);
    enter(TDM_SYNCHRONISED);
    if (BUG_OUTAGE_REPORT) {
      outage_report();
    }
  }
}

/* A beacon that comes from the future, or seconds late, says that one of the two clocks stood still or was reset. */
static bool clocks_parted(const struct beacon *beacon, uint64_t now) {
  int64_t age = (int64_t)(now - beacon->epoch_us) + status.offset_us;
  return status.exchanges && (age < -STEP_MARGIN_US || age > BEACON_AGE_LIMIT_US);
}

static void receive_beacon(const struct datagram *datagram, const struct beacon *beacon) {
  uint64_t now = hal_time_us();
  if (last_beacon_us && beacon->node != hub_node) {
    return; /* one hub at a time */
  }
  if (clocks_parted(beacon, now)) {
    LOG_WARN(TAG, "the clocks have parted, synchronising anew");
    forget_hub();
    enter(TDM_WAITING);
  }
  bool first = last_beacon_us == 0;
  int64_t offset = (int64_t)(beacon->epoch_us - now);
  beacon_offset = first || offset > beacon_offset ? offset : beacon_offset;
  last_beacon_us = now;
  hub_ip = datagram->source_ip;
  hub_node = beacon->node;
  status.beacons++;
  if (first || status.state == TDM_SYNCHRONISED) { /* else it runs until the hub has answered */
    timer_set(&patience_timer, now + PATIENCE_US);
  }
  if (first) {
    if (beacon->tdm_nodes != config.tdm_nodes) {
      LOG_WARN(TAG, "the hub has %u slots, this node %u", beacon->tdm_nodes, config.tdm_nodes);
    }
    request_exchange();
  }
}

static void receive(const struct datagram *datagram) {
  struct beacon beacon;
  if (wire_get_beacon(datagram->data, datagram->length, &beacon)) {
    receive_beacon(datagram, &beacon);
  } else if (datagram->length == SYNC_RESPONSE_BYTES && le32(datagram->data) == SYNC_RESPONSE_MAGIC) {
    receive_response(datagram);
  }
}

void tdm_start(void (*changed)(void)) {
  on_change = changed;
  LOG_INFO(TAG, "TDM slot=%u of %u", config.tdm_slot, config.tdm_nodes);
  if (config.hub) {
    status.state = TDM_SYNCHRONISED; /* its own clock is the swarm's */
    return;
  }
  timer_add(&exchange_timer, request_exchange);
  timer_add(&patience_timer, lose_patience);
  timer_set(&patience_timer, hal_time_us() + PATIENCE_US);
  net_listen(tdm_port(), receive);
}

bool tdm_next(uint64_t after_us, struct tdm_slot *slot) {
  if (status.state == TDM_WAITING) {
    return false;
  }
  uint32_t number = BUG_WRONG_SLOT ? (config.tdm_slot + 1u) % config.tdm_nodes : config.tdm_slot;
  uint32_t length = SUPERFRAME_US / config.tdm_nodes;
  uint32_t send = number * SUPERFRAME_US / config.tdm_nodes + length / 4;
  /* Superframes start at multiples of their length in hub time, so the offset alone says where we are. */
  uint64_t hub_after = after_us + (uint64_t)status.offset_us;
  uint64_t hub_send = hub_after - hub_after % SUPERFRAME_US + send;
  if (hub_send <= hub_after) {
    hub_send += SUPERFRAME_US;
  }
  slot->send_us = hub_send - (uint64_t)status.offset_us;
  slot->end_us = slot->send_us + length - length / 4;
  return true;
}
