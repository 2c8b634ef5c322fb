/* The sink: receives RTP, checks every word of every frame, reports after each (RTCP), measures.
 *
 *   tester --port N [--stall-every N --stall-us N] [--idle-ms N]
 *
 * Port 0 takes a free one; it is printed. It ends with the stream's BYE: 0 when whole frames came and nothing in them
 * was wrong, else 1. Fault hook: after every Nth frame it stops reading for a while.
 */
#define _GNU_SOURCE
#include "common.h"
#include "ring.h"

#include <poll.h>
#include <sys/socket.h>

static int sock;
static struct sockaddr_in peer;
static uint32_t ssrc, cycles;
static uint16_t highest;
static int started;
static uint64_t packets, frames, streams, lost, reordered, corrupt, stalls, words_of_frame;
static struct samples latencies;

static void send_report(void)
{
	struct receiver_report report = {
		.version = 2 << 6 | 1, .type = RTCP_RECEIVER_REPORT, .length = htons(7), .sender = htonl(1),
		.ssrc = htonl(ssrc), .lost = htonl((uint32_t)lost & 0xffffff), .highest = htonl(cycles << 16 | highest),
	};
	sendto(sock, &report, sizeof report, 0, (struct sockaddr *)&peer, sizeof peer);
}

static void take_sequence(const struct packet *packet)
{
	uint16_t number = ntohs(packet->rtp.sequence);
	if (!started || ntohl(packet->rtp.ssrc) != ssrc) {
		ssrc = ntohl(packet->rtp.ssrc);
		streams++;
		highest = (uint16_t)(number - 1);
		started = 1;
	}
	uint16_t ahead = (uint16_t)(number - highest);
	if (ahead == 0 || ahead >= 0x8000) {
		reordered++;
		return;
	}
	lost += ahead - 1u;
	cycles += number < highest;
	highest = number;
}

static void take_words(const struct packet *packet)
{
	const struct payload_header *head = &packet->payload;
	uint32_t first = ntohl(head->first_word);
	if (first == 0)
		words_of_frame = 0;
	for (uint32_t i = 0; i < CHUNK_WORDS; i++) {
		uint64_t word = (uint64_t)ntohl(packet->words[2 * i]) << 32 | ntohl(packet->words[2 * i + 1]);
		if (word == frame_word(ntohl(head->generation), ntohl(head->number), ntohl(head->version), first + i))
			words_of_frame++;
		else
			corrupt++;
	}
}

/* True when this packet completed a frame. */
static int take_packet(const struct packet *packet)
{
	packets++;
	take_sequence(packet);
	take_words(packet);
	if (!(packet->rtp.type & 0x80))
		return 0;
	if (words_of_frame == FRAME_WORDS) {
		const struct payload_header *head = &packet->payload;
		frames++;
		add_sample(&latencies, now_ns() - ((uint64_t)ntohl(head->ingest_upper) << 32 | ntohl(head->ingest_lower)));
	}
	words_of_frame = 0;
	send_report();
	return 1;
}

static int bound(unsigned long port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0
		|| getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
		perror("tester: socket");
		exit(66);
	}
	printf("tester: listening on port %u\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

/* Receive until BYE; false when nothing came for too long. */
static int receive(unsigned long stall_every, unsigned long stall_us, int idle_ms)
{
	struct pollfd readable = {.events = POLLIN, .fd = sock};
	while (poll(&readable, 1, idle_ms) > 0) {
		struct packet packet;
		socklen_t size = sizeof peer;
		ssize_t got = recvfrom(sock, &packet, sizeof packet, 0, (struct sockaddr *)&peer, &size);
		if (got >= 8 && packet.rtp.type == RTCP_BYE)
			return 1;
		if (got != (ssize_t)sizeof packet || (packet.rtp.type & 0x7f) != PAYLOAD_TYPE)
			continue;
		if (take_packet(&packet) && stall_every && frames % stall_every == 0) {
			stalls++;
			sleep_until_ns(now_ns() + stall_us * 1000u);
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long stall_every = fault_option(argc, argv, "stall-every");
	unsigned long stall_us = number_option(argc, argv, "stall-us", 3000);
	int idle_ms = (int)number_option(argc, argv, "idle-ms", 10000);
	sock = bound(number_option(argc, argv, "port", 0));
	int ended = receive(stall_every, stall_us, idle_ms);
	printf("TESTER_METRICS frames=%lu packets=%lu streams=%lu lost=%lu reordered=%lu corrupt_words=%lu stalls=%lu",
		frames, packets, streams, lost, reordered, corrupt, stalls);
	print_percentiles(&latencies);
	printf("\n");
	if (!ended)
		fprintf(stderr, "tester: no BYE, and nothing else for %d ms\n", idle_ms);
	if (corrupt)
		fprintf(stderr, "tester: %lu words are not those of their frame\n", corrupt);
	return ended && frames && !corrupt ? 0 : 1;
}
