/* The whole firmware as two calls, so that a test can drive it on a clock of its own. */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdint.h>

void firmware_boot(void);

/* Handle what has arrived and what is due. Returns when there is something to do next (hal_time_us() clock):
 * 0 for at once, UINT64_MAX for nothing but input. */
uint64_t firmware_step(void);

#endif
