/* One-shot software timers, run from the main loop. */
#ifndef TIMER_H
#define TIMER_H

#include <stdbool.h>
#include <stdint.h>

struct timer {
  void (*run)(void);
  uint64_t deadline_us; /* UINT64_MAX: not armed */
  struct timer *next;
};

/* Make the timer known; it is not armed yet. */
void timer_add(struct timer *timer, void (*run)(void));

void timer_set(struct timer *timer, uint64_t deadline_us);
void timer_cancel(struct timer *timer);

/* Run every timer that is due. A timer is disarmed before it runs, so that it can arm itself again. */
void timers_run(void);

/* The earliest deadline, UINT64_MAX if none. */
uint64_t timers_next(void);

#endif
