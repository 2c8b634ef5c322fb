/* Options, clocks, and RTP (RFC 3550) as far as the three programs need it. */
#ifndef COMMON_H
#define COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef FAULT_HOOKS
#define FAULT_HOOKS 1
#endif

#define PAYLOAD_TYPE 96
#define RTCP_RECEIVER_REPORT 201
#define RTCP_BYE 203
#define CHUNK_WORDS 128u /* of a frame, in each packet */

/* Big endian on the wire, as all of RTP. */
struct rtp_header {
	uint8_t version;
	uint8_t type; /* upper bit: the last packet of its frame */
	uint16_t sequence;
	uint32_t timestamp;
	uint32_t ssrc;
} __attribute__((packed));

/* What the payload begins with: which words of which frame follow. */
struct payload_header {
	uint32_t generation;
	uint32_t number;
	uint32_t version;
	uint32_t first_word;
	uint32_t ingest_upper, ingest_lower; /* ns */
} __attribute__((packed));

struct packet {
	struct rtp_header rtp;
	struct payload_header payload;
	uint32_t words[CHUNK_WORDS * 2];
} __attribute__((packed));

struct receiver_report {
	uint8_t version, type;
	uint16_t length;
	uint32_t sender, ssrc;
	uint32_t lost; /* fraction in the upper byte, cumulative number in the others */
	uint32_t highest; /* sequence number, extended by the count of its cycles */
	uint32_t jitter, last_report, delay;
} __attribute__((packed));

static inline uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void sleep_until_ns(uint64_t when)
{
	struct timespec until = {.tv_sec = (time_t)(when / 1000000000u), .tv_nsec = (long)(when % 1000000000u)};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* The value of `--name value`, NULL when it is not given. */
static inline const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i += 2)
		if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
			return argv[i + 1];
	return NULL;
}

static inline const char *needed(int argc, char **argv, const char *name)
{
	const char *value = option(argc, argv, name);
	if (!value) {
		fprintf(stderr, "%s: --%s is missing\n", argv[0], name);
		exit(64);
	}
	return value;
}

static inline unsigned long number_option(int argc, char **argv, const char *name, unsigned long otherwise)
{
	const char *text = option(argc, argv, name);
	char *end = NULL;
	unsigned long value = text ? strtoul(text, &end, 10) : otherwise;
	if (text && (!*text || *end)) {
		fprintf(stderr, "%s: --%s: a number expected, not '%s'\n", argv[0], name, text);
		exit(64);
	}
	return value;
}

/* Says so when a fault is asked for that this build cannot make. */
static inline unsigned long fault_option(int argc, char **argv, const char *name)
{
	unsigned long value = number_option(argc, argv, name, 0);
	if (value && !FAULT_HOOKS) {
		fprintf(stderr, "%s: built without fault hooks: --%s does nothing\n", argv[0], name);
		return 0;
	}
	return value;
}

/* Latencies kept for percentiles (nearest rank). */
struct samples {
	size_t count, room;
	uint32_t *us;
};

static inline void add_sample(struct samples *samples, uint64_t ns)
{
	if (samples->count == samples->room) {
		samples->room = samples->room ? samples->room * 2 : 1024;
		samples->us = realloc(samples->us, samples->room * sizeof *samples->us);
		if (!samples->us) {
			perror("samples");
			exit(70);
		}
	}
	uint64_t us = ns / 1000;
	samples->us[samples->count++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static inline int compare_samples(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* Sorts; call it when no more samples come. */
static inline void print_percentiles(struct samples *samples)
{
	static const unsigned percent[] = {50, 95, 99, 100};
	if (!samples->count)
		return; /* no samples, no percentiles: a 0 would be a lie */
	qsort(samples->us, samples->count, sizeof *samples->us, compare_samples);
	for (size_t i = 0; i < 4; i++) {
		size_t rank = (samples->count * percent[i] + 99) / 100;
		uint32_t us = samples->us[rank ? rank - 1 : 0];
		if (percent[i] == 100)
			printf(" max_us=%u", us);
		else
			printf(" p%u_us=%u", percent[i], us);
	}
}

#endif
