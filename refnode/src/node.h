/* The sensor in every node: samples, edge processing, and sending in its slot. */
#ifndef NODE_H
#define NODE_H

#include "base.h"

struct node_counters {
  uint32_t samples;
  uint32_t frames, vitals; /* sent */
  uint32_t filtered;       /* frames of another transmitter than the one to listen for */
  uint32_t late;           /* slots that were over before the node woke up */
  uint32_t unsent;         /* no way to the target: neighbour unknown, queue full */
  uint32_t falls;
};

extern struct node_counters node_counters;

void node_start(void);

/* Take up a changed `config`: scenario, edge settings, slot. Counters go on. */
void node_reconfigure(void);

/* CSI frames and vitals leave only while sending is on (it is after boot). */
void node_set_sending(bool on);

/* Send that many more CSI frames, one every 100 us, regardless of slots. */
void node_flood(uint32_t frames);

#endif
