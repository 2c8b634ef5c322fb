/* Time-division access: one superframe of 50 ms, one slot per node, in the hub's time.
 *
 * The hub's beacon says that there is a hub and where superframes start; an NTP-style exchange with it gives the
 * offset between the clocks. A node sends 25 % into its slot. A node that hears no beacon for two seconds runs
 * free on its own clock, keeping the last known offset. */
#ifndef TDM_H
#define TDM_H

#include "base.h"
#include "net.h"

enum tdm_state { TDM_WAITING, TDM_SYNCHRONISED, TDM_FREE_RUNNING };

struct tdm_slot {
  uint64_t send_us; /* own clock */
  uint64_t end_us;
};

struct tdm_status {
  enum tdm_state state;
  int64_t offset_us; /* hub clock minus own clock */
  uint32_t delay_us; /* round trip of the exchange that gave the offset */
  uint32_t beacons;
  uint32_t exchanges; /* since the clocks were last found to have parted */
};

/* `changed` is called when slots move: synchronised, free-running or waiting from now on. */
void tdm_start(void (*changed)(void));

/* The first send time after `after_us`; false while waiting for the hub. */
bool tdm_next(uint64_t after_us, struct tdm_slot *slot);

const struct tdm_status *tdm_status(void);

/* The port beside the data port that beacons and time exchanges use. */
uint16_t tdm_port(void);

#endif
