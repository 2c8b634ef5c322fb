#include "timer.h"

#include "hal.h"

static struct timer *first;

void timer_add(struct timer *timer, void (*run)(void)) {
  *timer = (struct timer){.run = run, .deadline_us = UINT64_MAX, .next = first};
  first = timer;
}

void timer_set(struct timer *timer, uint64_t deadline_us) { timer->deadline_us = deadline_us; }

void timer_cancel(struct timer *timer) { timer->deadline_us = UINT64_MAX; }

void timers_run(void) {
  uint64_t now = hal_time_us();
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
  return next;
}
