/* IPv4 (RFC 791) without options and fragments, ICMP echo replies (RFC 792) and UDP (RFC 768). */
#include "net.h"

enum { HEADER = 20, UDP_HEADER = 8, TTL_UNICAST = 64, TTL_MULTICAST = 16, LISTENERS = 4 };
enum { PROTOCOL_ICMP = 1, PROTOCOL_UDP = 17, ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8, DONT_FRAGMENT = 0x4000 };

struct listener {
  uint16_t port;
  void (*handler)(const struct datagram *);
};

static struct listener listeners[LISTENERS];
static uint8_t scratch[HEADER + UDP_HEADER + NET_UDP_PAYLOAD_MAX];
static uint16_t next_id;

/* The running sum of RFC 1071, big endian; add parts of even length except for the last one. */
static uint32_t sum(const uint8_t *data, size_t length, uint32_t sum) {
  for (; length > 1; length -= 2, data += 2) {
    sum += be16(data);
  }
  return length ? sum + (uint32_t)(*data << 8) : sum;
}

static uint16_t fold(uint32_t sum) {
  while (sum >> 16) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return (uint16_t)~sum;
}

/* The pseudo header of UDP takes its addresses from the packet's own header. */
static uint32_t pseudo_sum(const uint8_t *packet, size_t udp_length) {
  return sum(packet + 12, 8, PROTOCOL_UDP + (uint32_t)udp_length);
}

static bool is_multicast(uint32_t ip) { return ip >> 28 == 0xe; }

/* The neighbour that takes packets for `ip`; 0 when there is no route. */
static uint32_t next_hop(uint32_t ip) {
  return ((ip ^ net_interface.ip) & net_interface.mask) == 0 ? ip : net_interface.gateway;
}

bool net_resolve(uint32_t ip) {
  uint32_t hop = next_hop(ip);
  return is_multicast(ip) || (hop != 0 && arp_lookup(hop));
}

static size_t put_header(uint8_t *packet, uint8_t protocol, uint32_t target, size_t payload) {
  packet[0] = 0x45;
  packet[1] = 0;
  put_be16(packet + 2, (uint16_t)(HEADER + payload));
  put_be16(packet + 4, next_id++);
  put_be16(packet + 6, DONT_FRAGMENT);
  packet[8] = is_multicast(target) ? TTL_MULTICAST : TTL_UNICAST;
  packet[9] = protocol;
  put_be16(packet + 10, 0);
  put_be32(packet + 12, net_interface.ip);
  put_be32(packet + 16, target);
  put_be16(packet + 10, fold(sum(packet, HEADER, 0)));
  return HEADER + payload;
}

static bool transmit(uint32_t target, const uint8_t *packet, size_t length) {
  uint8_t group[6] = {0x01, 0x00, 0x5e, (uint8_t)(target >> 16 & 0x7f), (uint8_t)(target >> 8), (uint8_t)target};
  const uint8_t *mac = group;
  if (!is_multicast(target)) {
    uint32_t hop = next_hop(target);
    if (hop == 0) {
      net_counters.unresolved++;
      return false;
    }
    mac = arp_lookup(hop);
    if (!mac) {
      return arp_keep(hop, packet, length);
    }
  }
  uint8_t *frame = ethernet_begin(mac, ETHERTYPE_IPV4);
  if (!frame) {
    return false;
  }
  memcpy(frame, packet, length);
  ethernet_send(length);
  return true;
}

bool net_send_udp(uint32_t ip, uint16_t source_port, uint16_t port, const uint8_t *data, size_t length) {
  if (length > NET_UDP_PAYLOAD_MAX) {
    return false;
  }
  uint8_t *udp = scratch + HEADER;
  size_t udp_length = UDP_HEADER + length;
  put_be16(udp, source_port);
  put_be16(udp + 2, port);
  put_be16(udp + 4, (uint16_t)udp_length);
  put_be16(udp + 6, 0);
  memcpy(udp + UDP_HEADER, data, length);
  size_t total = put_header(scratch, PROTOCOL_UDP, ip, udp_length);
  uint16_t checksum = fold(sum(udp, udp_length, pseudo_sum(scratch, udp_length)));
  put_be16(udp + 6, checksum ? checksum : 0xffff); /* zero would mean "none" */
  return transmit(ip, scratch, total);
}

void net_listen(uint16_t port, void (*handler)(const struct datagram *)) {
  for (int i = 0; i < LISTENERS; i++) {
    if (!listeners[i].handler) {
      listeners[i] = (struct listener){port, handler};
      return;
    }
  }
}

static void receive_udp(const uint8_t *packet, size_t length) {
  const uint8_t *udp = packet + HEADER;
  length -= HEADER;
  size_t udp_length = length >= UDP_HEADER ? be16(udp + 4) : 0;
  if (udp_length < UDP_HEADER || udp_length > length) {
    net_counters.malformed++;
    return;
  }
  if (be16(udp + 6) != 0 && fold(sum(udp, udp_length, pseudo_sum(packet, udp_length))) != 0) {
    net_counters.malformed++;
    return;
  }
  struct datagram datagram = {be32(packet + 12), be16(udp), udp + UDP_HEADER, udp_length - UDP_HEADER};
  for (int i = 0; i < LISTENERS; i++) {
    if (listeners[i].handler && listeners[i].port == be16(udp + 2)) {
      listeners[i].handler(&datagram);
    }
  }
}

static void receive_icmp(const uint8_t *packet, size_t length) {
  const uint8_t *icmp = packet + HEADER;
  length -= HEADER;
  if (length < 8 || fold(sum(icmp, length, 0)) != 0) {
    net_counters.malformed++;
    return;
  }
  bool to_us_alone = be32(packet + 16) == net_interface.ip;
  if (icmp[0] != ICMP_ECHO || icmp[1] != 0 || !to_us_alone || length > sizeof scratch - HEADER) {
    return;
  }
  uint32_t source = be32(packet + 12);
  uint8_t *reply = scratch + HEADER;
  memcpy(reply, icmp, length);
  reply[0] = ICMP_ECHO_REPLY;
  put_be16(reply + 2, 0);
  put_be16(reply + 2, fold(sum(reply, length, 0)));
  transmit(source, scratch, put_header(scratch, PROTOCOL_ICMP, source, length));
}

static bool is_for_us(uint32_t target) {
  return target == net_interface.ip || target == UINT32_MAX || target == (net_interface.ip | ~net_interface.mask) ||
         target == NET_MULTICAST_BEACON;
}

void ipv4_receive(const uint8_t *packet, size_t length) {
  if (length < HEADER || packet[0] != 0x45 || fold(sum(packet, HEADER, 0)) != 0) {
    net_counters.malformed++;
    return;
  }
  size_t total = be16(packet + 2); /* short frames are padded on the wire */
  if (total < HEADER || total > length || (be16(packet + 6) & 0x3fff) != 0) {
    net_counters.malformed++;
    return;
  }
  uint32_t source = be32(packet + 12);
  if (!is_for_us(be32(packet + 16)) || source == net_interface.ip || is_multicast(source)) {
    return;
  }
  if (packet[9] == PROTOCOL_UDP) {
    receive_udp(packet, total);
  } else if (packet[9] == PROTOCOL_ICMP) {
    receive_icmp(packet, total);
  }
}
