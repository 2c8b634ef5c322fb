/* A note in flash that the node has lost its hub, so that it is told of even if only a reset ends that.
 * Only the planted bug `outage-report` has it. */
#ifndef OUTAGE_H
#define OUTAGE_H

#include "base.h"

/* The hub is lost; the last round trip to it took so long. */
void outage_note(uint32_t round_trip_us);

/* The hub is there: tell of an outage that was noted before this start, once. */
void outage_report(void);

#endif
