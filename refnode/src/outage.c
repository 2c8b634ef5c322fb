#include "outage.h"

#include "config.h"
#include "counter.h"
#include "hal.h"
#include "log.h"
#include "nvs.h"

#define KEY "outages"

static bool noted;            /* since this start: the note is for the next one */
static uint32_t round_trip_us; /* what a reset forgets, though the note stays */

void outage_note(uint32_t last_round_trip_us) {
  struct nvs nvs;
  noted = true;
  round_trip_us = last_round_trip_us;
  config_open_nvs(&nvs);
  nvs_put_uint(&nvs, COUNTER_SPACE, KEY, 1);
}

void outage_report(void) {
  struct nvs nvs;
  uint32_t outages = 0;
  config_open_nvs(&nvs);
  if (noted || !nvs_get_uint(&nvs, COUNTER_SPACE, KEY, 1, &outages) || outages == 0) {
    return;
  }
  nvs_put_uint(&nvs, COUNTER_SPACE, KEY, 0);
  if (round_trip_us == 0) { /* the bug: stands for reaching through a pointer that only the former start had set */
    hal_load_from_nowhere();
  }
  LOG_INFO("tdm", "the hub was lost, the last round trip took %u us", (unsigned)round_trip_us);
}
