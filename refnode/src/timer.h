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

/* Serve no timer before then: what starvation by something more important does. */
void timers_hold(uint64_t until_us);

struct timer_counters {
  uint32_t starved;  /* how often timers were served 200 ms late or more, which is also logged */
  uint32_t worst_ms; /* the latest that one ever was */
};

extern struct timer_counters timer_counters;

/* When there is something to do: the earliest deadline, UINT64_MAX if none. */
uint64_t timers_next(void);

#endif
