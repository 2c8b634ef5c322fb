#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, (uint32_t *)word, operation, value, timeout, NULL, 0);
}

static struct ring *mapped(int fd)
{
	void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(struct ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		perror("ring");
	if (fd >= 0)
		close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

struct ring *ring_create(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && ftruncate(fd, sizeof(struct ring)) != 0) {
		close(fd);
		fd = -1;
	}
	struct ring *ring = mapped(fd);
	if (ring)
		ring->magic = RING_MAGIC;
	return ring;
}

struct ring *ring_attach(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &status) != 0 || status.st_size != sizeof(struct ring))) {
		fprintf(stderr, "%s: not a ring\n", path);
		close(fd);
		return NULL;
	}
	struct ring *ring = mapped(fd);
	if (ring && ring->magic != RING_MAGIC) {
		fprintf(stderr, "%s: not a ring\n", path);
		return NULL;
	}
	if (ring) {
		atomic_store(&ring->attached, 1);
		futex(&ring->attached, FUTEX_WAKE, 1, NULL);
	}
	return ring;
}

int ring_wait_attached(struct ring *ring, unsigned long ms)
{
	struct timespec limit = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
	while (!atomic_load(&ring->attached))
		if (futex(&ring->attached, FUTEX_WAIT, 0, &limit) != 0 && errno == ETIMEDOUT)
			return 0;
	return 1;
}

void ring_ring(struct ring *ring)
{
	atomic_fetch_add(&ring->bell, 1);
	futex(&ring->bell, FUTEX_WAKE, 1, NULL);
}

void ring_listen(struct ring *ring, uint32_t seen)
{
	struct timespec limit = {.tv_nsec = 100 * 1000 * 1000};
	futex(&ring->bell, FUTEX_WAIT, seen, &limit);
}

enum read_result ring_read(struct ring *ring, uint32_t generation, uint32_t number, struct frame *copy)
{
	struct slot *slot = &ring->slots[number % SLOTS];
	uint32_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
	copy->number = atomic_load_explicit(&slot->number, memory_order_relaxed);
	copy->generation = atomic_load_explicit(&slot->generation, memory_order_relaxed);
	copy->version = atomic_load_explicit(&slot->version, memory_order_relaxed);
	copy->ingest_ns = atomic_load_explicit(&slot->ingest_ns, memory_order_relaxed);
	for (uint32_t i = 0; i < FRAME_WORDS; i++)
		copy->words[i] = atomic_load_explicit(&slot->words[i], memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	uint32_t after = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
	atomic_fetch_add(&ring->attempts, 1);
	if (before % 2 || before != after)
		return READ_TORN;
	return copy->generation == generation && copy->number == number ? READ_OK : READ_GONE;
}
