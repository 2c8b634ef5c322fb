#include "timer.h"

#include "hal.h"
#include "log.h"

#define STARVED_US 200000u

struct timer_counters timer_counters;

static struct timer *first;
static uint64_t held_until_us;

void timer_add(struct timer *timer, void (*run)(void)) {
  *timer = (struct timer){.run = run, .deadline_us = UINT64_MAX, .next = first};
  first = timer;
}

void timer_set(struct timer *timer, uint64_t deadline_us) { timer->deadline_us = deadline_us; }

void timer_cancel(struct timer *timer) { timer->deadline_us = UINT64_MAX; }

void timers_hold(uint64_t until_us) { held_until_us = until_us; }

/* Not once a timer, but once for all that had to wait for the same reason. */
static void report_lateness(uint64_t late_us) {
  uint32_t late_ms = (uint32_t)(late_us / 1000);
  timer_counters.worst_ms = late_ms > timer_counters.worst_ms ? late_ms : timer_counters.worst_ms;
  if (late_us >= STARVED_US) {
    timer_counters.starved++;
    LOG_WARN("timer", "starved: served %u ms late", (unsigned)late_ms);
  }
}

void timers_run(void) {
  uint64_t now = hal_time_us(), latest = 0;
  if (now < held_until_us) {
    return;
  }
  for (struct timer *timer = first; timer; timer = timer->next) {
    if (timer->deadline_us <= now && now - timer->deadline_us > latest) {
      latest = now - timer->deadline_us;
    }
  }
  report_lateness(latest);
  for (struct timer *timer = first; timer; timer = timer->next) {
    if (timer->deadline_us <= now) {
      timer->deadline_us = UINT64_MAX;
      timer->run();
    }
  }
}

uint64_t timers_next(void) {
  uint64_t next = UINT64_MAX;
  for (struct timer *timer = first; timer; timer = timer->next) {
    if (timer->deadline_us < next) {
      next = timer->deadline_us;
    }
  }
  return next < held_until_us ? held_until_us : next;
}
