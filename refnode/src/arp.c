/* Address resolution (RFC 826) with a cache, retries and one waiting packet a neighbour (RFC 1122, 2.3.2). */
#include "hal.h"
#include "heap.h"
#include "net.h"
#include "timer.h"

enum { PACKET = 28, REQUEST = 1, REPLY = 2, SETS = 64, WAYS = 8, TRIES = 3 };
enum { RETRY_US = 1000000, FRESH_US = 45000000 };

enum state { UNUSED = 0, ASKING, KNOWN, REFRESHING /* known, but asked again */ };

struct neighbour {
  uint32_t ip;
  uint8_t mac[6];
  uint8_t state;
  uint8_t tries;
  uint64_t since_us; /* of the last question or answer */
  uint8_t *waiting;  /* an IPv4 packet on the heap */
  size_t waiting_length;
};

/* Set-associative by address, so that a hub with 256 nodes keeps them all and finds one in a few looks. */
static struct neighbour cache[SETS * WAYS];
static struct timer retry_timer;

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static struct neighbour *set_of(uint32_t ip) { return &cache[(ip ^ ip >> 8) % SETS * WAYS]; }

static struct neighbour *find(uint32_t ip) {
  struct neighbour *set = set_of(ip);
  for (int way = 0; way < WAYS; way++) {
    if (set[way].state != UNUSED && set[way].ip == ip) {
      return &set[way];
    }
  }
  return NULL;
}

static void forget(struct neighbour *neighbour) {
  if (neighbour->waiting) {
    net_counters.unresolved++;
    heap_free(neighbour->waiting);
  }
  *neighbour = (struct neighbour){.state = UNUSED};
}

/* An unused place in the set, else that of the neighbour heard of longest ago. */
static struct neighbour *make(uint32_t ip) {
  struct neighbour *set = set_of(ip), *chosen = &set[0];
  for (int way = 0; way < WAYS; way++) {
    if (set[way].state == UNUSED) {
      chosen = &set[way];
      break;
    }
    if (set[way].since_us < chosen->since_us) {
      chosen = &set[way];
    }
  }
  forget(chosen);
  chosen->ip = ip;
  return chosen;
}

static void send(uint16_t operation, const uint8_t to[6], const uint8_t target_mac[6], uint32_t target_ip) {
  static const uint8_t fixed[6] = {0x00, 0x01, 0x08, 0x00, 6, 4}; /* Ethernet, IPv4, address lengths */
  uint8_t *packet = ethernet_begin(to, ETHERTYPE_ARP);
  if (!packet) {
    return;
  }
  memcpy(packet, fixed, 6);
  put_be16(packet + 6, operation);
  memcpy(packet + 8, net_interface.mac, 6);
  put_be32(packet + 14, net_interface.ip);
  memcpy(packet + 18, target_mac, 6);
  put_be32(packet + 24, target_ip);
  ethernet_send(PACKET);
}

static void ask(struct neighbour *neighbour, uint64_t now) {
  static const uint8_t nobody[6];
  neighbour->since_us = now;
  neighbour->tries++;
  send(REQUEST, neighbour->state == REFRESHING ? neighbour->mac : broadcast, nobody, neighbour->ip);
  if (retry_timer.deadline_us == UINT64_MAX) {
    timer_set(&retry_timer, now + RETRY_US);
  }
}

static void retry(void) {
  uint64_t now = hal_time_us(), next = UINT64_MAX;
  for (struct neighbour *n = cache; n < cache + COUNT_OF(cache); n++) {
    if (n->state != ASKING && n->state != REFRESHING) {
      continue;
    }
    uint64_t due = n->since_us + RETRY_US;
    if (due <= now && n->tries >= TRIES) {
      forget(n);
      continue;
    }
    if (due <= now) {
      ask(n, now);
      due = now + RETRY_US;
    }
    next = due < next ? due : next;
  }
  timer_set(&retry_timer, next);
}

void arp_start(void) { timer_add(&retry_timer, retry); }

const uint8_t *arp_lookup(uint32_t ip) {
  uint64_t now = hal_time_us();
  struct neighbour *neighbour = find(ip);
  if (!neighbour) {
    neighbour = make(ip);
    neighbour->state = ASKING;
    ask(neighbour, now);
  } else if (neighbour->state == KNOWN && now - neighbour->since_us > FRESH_US) {
    neighbour->state = REFRESHING;
    neighbour->tries = 0;
    ask(neighbour, now);
  }
  return neighbour->state == ASKING ? NULL : neighbour->mac;
}

bool arp_keep(uint32_t ip, const uint8_t *packet, size_t length) {
  struct neighbour *neighbour = find(ip);
  uint8_t *copy = neighbour ? heap_allocate(length) : NULL;
  if (!copy) {
    return false;
  }
  if (neighbour->waiting) { /* the newest one is worth most */
    net_counters.unresolved++;
    heap_free(neighbour->waiting);
  }
  memcpy(copy, packet, length);
  neighbour->waiting = copy;
  neighbour->waiting_length = length;
  return true;
}

static void send_waiting(struct neighbour *neighbour) {
  if (!neighbour->waiting) {
    return;
  }
  uint8_t *packet = ethernet_begin(neighbour->mac, ETHERTYPE_IPV4);
  if (packet) {
    memcpy(packet, neighbour->waiting, neighbour->waiting_length);
    ethernet_send(neighbour->waiting_length);
  }
  heap_free(neighbour->waiting);
  neighbour->waiting = NULL;
}

static void learn(uint32_t ip, const uint8_t mac[6], bool for_us) {
  struct neighbour *neighbour = find(ip);
  if (!neighbour && for_us) {
    neighbour = make(ip);
  }
  if (neighbour) {
    memcpy(neighbour->mac, mac, 6);
    neighbour->state = KNOWN;
    neighbour->tries = 0;
    neighbour->since_us = hal_time_us();
    send_waiting(neighbour);
  }
}

void arp_receive(const uint8_t *packet, size_t length) {
  if (length < PACKET || be16(packet) != 1 || be16(packet + 2) != ETHERTYPE_IPV4 || packet[4] != 6 || packet[5] != 4) {
    net_counters.malformed++;
    return;
  }
  uint32_t sender = be32(packet + 14), target = be32(packet + 24);
  if (packet[8] & 1) { /* a multicast address is nobody's own */
    net_counters.malformed++;
    return;
  }
  if (sender != 0 && sender != net_interface.ip) {
    learn(sender, packet + 8, target == net_interface.ip);
  }
  if (be16(packet + 6) == REQUEST && target == net_interface.ip) {
    send(REPLY, packet + 8, packet + 8, sender);
  }
}
