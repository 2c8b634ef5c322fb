/* The hub of a swarm: gives the time, receives every node's datagrams, counts them and passes them on. */
#ifndef HUB_H
#define HUB_H

void hub_start(void);

#endif
