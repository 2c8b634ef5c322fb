/* Frames in shared memory: one producer, one consumer, a sequence lock for each slot.
 *
 * The producer never waits. A slot's sequence is odd while it is written, and other than before when it was written
 * meanwhile: what was copied then is torn. A consumer that falls more than SLOTS frames behind has lost them. `reset`
 * begins a new generation: frames count from 0 again, and what was not read is gone.
 */
#ifndef RING_H
#define RING_H

#include <stdatomic.h>
#include <stdint.h>

#define RING_MAGIC 0x474e4952u
#define SLOTS 64u
#define FRAME_WORDS 1024u

struct frame {
	uint64_t ingest_ns; /* when the source delivered it, CLOCK_MONOTONIC */
	uint32_t number;    /* in its generation, from 0 */
	uint32_t generation;
	uint32_t version;   /* of its content: 0, or 1 when it was overwritten */
	uint64_t words[FRAME_WORDS];
};

struct slot {
	_Atomic uint32_t sequence;
	_Atomic uint32_t number, generation, version;
	_Atomic uint64_t ingest_ns;
	_Atomic uint64_t words[FRAME_WORDS];
};

struct ring {
	uint32_t magic;
	_Atomic uint32_t generation;
	_Atomic uint64_t head;      /* generation in the upper half, frames published in it in the lower: one value */
	_Atomic uint64_t published; /* in all generations */
	_Atomic uint32_t bell;      /* futex: rung whenever there is something to look at */
	_Atomic uint32_t attached;  /* futex: a consumer is there */
	_Atomic uint32_t attempts;  /* copies that the consumer has tried */
	_Atomic uint32_t ended;     /* 1: the producer is done */
	struct slot slots[SLOTS];
};

enum read_result { READ_OK, READ_TORN, READ_GONE };

/* The content of a frame can be checked by who has only parts of it. */
static inline uint64_t frame_word(uint32_t generation, uint32_t number, uint32_t version, uint32_t index)
{
	uint64_t x = ((uint64_t)generation << 40) ^ ((uint64_t)number << 12) ^ ((uint64_t)version << 11) ^ index;
	x *= 0x9e3779b97f4a7c15u;
	return x ^ (x >> 29);
}

struct ring *ring_create(const char *path);
struct ring *ring_attach(const char *path);
int ring_wait_attached(struct ring *ring, unsigned long ms);
void ring_ring(struct ring *ring);
/* Sleep until the bell is rung once more than `seen`, at most 100 ms. */
void ring_listen(struct ring *ring, uint32_t seen);
enum read_result ring_read(struct ring *ring, uint32_t generation, uint32_t number, struct frame *copy);

#endif
