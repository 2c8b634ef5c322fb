/* A number in NVS that grows with every write: what a loss of power leaves of it can be told from the next boot. */
#ifndef COUNTER_H
#define COUNTER_H

#include "base.h"

#define COUNTER_SPACE "refnode" /* a namespace of the firmware's own: nobody provisions it */
#define COUNTER_KEY "writes"

void counter_start(void);

/* Write the number that many times more, one every 10 ms, each told when it is done. */
void counter_write(uint32_t times);

/* Since boot. */
uint32_t counter_done(void);

#endif
