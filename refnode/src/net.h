/* Ethernet, ARP, IPv4, ICMP echo and UDP for one interface: no fragments, no options, no connection state. */
#ifndef NET_H
#define NET_H

#include "base.h"

#define NET_MULTICAST_BEACON 0xef535701u /* 239.83.87.1 */
enum { NET_UDP_PAYLOAD_MAX = 1472 };

struct net_counters {
  uint32_t received, sent;
  uint32_t malformed;  /* frames and packets that were wrong: lengths, checksums, versions */
  uint32_t queue_full; /* frames not sent because the device's queue was full */
  uint32_t unresolved; /* packets given up because nobody answered ARP, or without a route */
};

extern struct net_counters net_counters;

struct datagram {
  uint32_t source_ip;
  uint16_t source_port;
  const uint8_t *data;
  size_t length;
};

/* Bring the interface up with the address of `config`; false when there is no interface. */
bool net_start(const uint8_t mac[6], bool present);

/* Handle up to a few dozen received frames; true when more are waiting. */
bool net_poll(void);

/* Deliver datagrams for `port` to `handler`. */
void net_listen(uint16_t port, void (*handler)(const struct datagram *));

/* True when a datagram to `ip` would leave at once. Otherwise its next hop is being asked for. */
bool net_resolve(uint32_t ip);

/* Send, or keep until ARP has answered. False when it was dropped: no route, no memory, queue full. */
bool net_send_udp(uint32_t ip, uint16_t source_port, uint16_t port, const uint8_t *data, size_t length);

/* ---- between the layers ---- */

struct net_interface {
  uint8_t mac[6];
  uint32_t ip, mask, gateway;
  bool up;
};

extern struct net_interface net_interface;

enum { ETHERTYPE_IPV4 = 0x0800, ETHERTYPE_ARP = 0x0806, ETHERNET_HEADER = 14 };

/* A buffer for the payload of an Ethernet frame, or NULL (counted) when the device's queue is full. */
uint8_t *ethernet_begin(const uint8_t target[6], uint16_t type);
void ethernet_send(size_t payload_length);

void arp_start(void);
void arp_receive(const uint8_t *packet, size_t length);

/* The MAC of an on-link neighbour, or NULL while it is not known; asking starts. */
const uint8_t *arp_lookup(uint32_t ip);

/* Keep this packet for the neighbour that arp_lookup() just did not know. False: no memory. */
bool arp_keep(uint32_t ip, const uint8_t *packet, size_t length);

void ipv4_receive(const uint8_t *packet, size_t length);

#endif
