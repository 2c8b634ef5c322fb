/* The source: frames into shared memory at a fixed rate.
 *
 *   sim --ring FILE --frames N --fps N [--torn-every N] [--reset-every N] [--attach-ms N]
 *
 * Fault hooks: every Nth frame is overwritten while it is read; the stream is reset after every N frames.
 */
#define _GNU_SOURCE
#include "common.h"
#include "ring.h"

#include <sched.h>

#define READER_NS 5000000u /* how long a torn frame waits for a reader that does not come */

static struct ring *ring;
static uint32_t generation, number;

static struct slot *begin_write(uint32_t version)
{
	struct slot *slot = &ring->slots[number % SLOTS];
	atomic_fetch_add_explicit(&slot->sequence, 1, memory_order_acq_rel);
	atomic_store_explicit(&slot->number, number, memory_order_relaxed);
	atomic_store_explicit(&slot->generation, generation, memory_order_relaxed);
	atomic_store_explicit(&slot->version, version, memory_order_relaxed);
	return slot;
}

static void write_words(struct slot *slot, uint32_t version, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		atomic_store_explicit(&slot->words[i], frame_word(generation, number, version, i), memory_order_relaxed);
}

static void end_write(struct slot *slot)
{
	atomic_fetch_add_explicit(&slot->sequence, 1, memory_order_release);
}

static void publish(void)
{
	atomic_store(&ring->head, (uint64_t)generation << 32 | (number + 1));
	atomic_fetch_add(&ring->published, 1);
	ring_ring(ring);
}

static void write_frame(uint64_t ingest_ns)
{
	struct slot *slot = begin_write(0);
	atomic_store_explicit(&slot->ingest_ns, ingest_ns, memory_order_relaxed);
	write_words(slot, 0, 0, FRAME_WORDS);
	end_write(slot);
}

/* The frame is there and then overwritten: half of it before its reader comes, half after the reader had a look. */
static void overwrite_while_read(void)
{
	struct slot *slot = begin_write(1);
	uint32_t attempts = atomic_load(&ring->attempts);
	write_words(slot, 1, 0, FRAME_WORDS / 2);
	publish();
	uint64_t until = now_ns() + READER_NS;
	while (atomic_load(&ring->attempts) == attempts && now_ns() < until)
		sched_yield();
	write_words(slot, 1, FRAME_WORDS / 2, FRAME_WORDS);
	end_write(slot);
}

static void reset(void)
{
	generation++;
	number = 0;
	atomic_store(&ring->generation, generation);
	atomic_store(&ring->head, (uint64_t)generation << 32);
	ring_ring(ring);
}

int main(int argc, char **argv)
{
	const char *path = needed(argc, argv, "ring");
	unsigned long frames = number_option(argc, argv, "frames", 100);
	unsigned long fps = number_option(argc, argv, "fps", 100);
	unsigned long torn_every = fault_option(argc, argv, "torn-every");
	unsigned long reset_every = fault_option(argc, argv, "reset-every");
	unsigned long attach_ms = number_option(argc, argv, "attach-ms", 10000);
	unsigned long overwritten = 0, resets = 0;

	ring = ring_create(path);
	if (!ring || !fps)
		return 66;
	printf("sim: ring %s ready, %lu frames at %lu a second\n", path, frames, fps);
	fflush(stdout);
	if (!ring_wait_attached(ring, attach_ms)) {
		fprintf(stderr, "sim: no reader within %lu ms\n", attach_ms);
		return 1;
	}
	uint64_t period = 1000000000u / fps, next = now_ns();
	for (unsigned long i = 1; i <= frames; i++) {
		sleep_until_ns(next);
		write_frame(now_ns());
		if (torn_every && i % torn_every == 0) {
			overwrite_while_read();
			overwritten++;
		} else {
			publish();
		}
		number++;
		next += period;
		if (reset_every && i % reset_every == 0 && i < frames) {
			sleep_until_ns(next - period / 4);
			reset();
			resets++;
		}
	}
	atomic_store(&ring->ended, 1);
	ring_ring(ring);
	printf("SIM_METRICS published=%lu overwritten=%lu resets=%lu\n", frames, overwritten, resets);
	return 0;
}
