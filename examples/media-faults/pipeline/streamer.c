/* From shared memory to RTP over UDP; the receiver's reports (RTCP, on the same port) say how far it has read.
 *
 *   streamer --ring FILE --host ADDRESS --port N --sdp FILE [--window N] [--patience-ms N] [--stalled-us N]
 *            [--source-ms N]
 *
 * It meets three faults, and counts each where it meets it: a frame that was overwritten while it was copied (it tries
 * again), a sink that for --stalled-us has not reported on a window of frames (it waits, and in the end gives the frame
 * up), a source that began anew (it starts a new RTP stream). A source that is silent for --source-ms is gone.
 */
#define _GNU_SOURCE
#include "common.h"
#include "ring.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES_NS 50000000u

static struct ring *ring;
static int sock;
static uint32_t ssrc;
static uint16_t sequence;
static uint64_t emitted, torn_events, torn_seen, stall_events, stall_drops, reset_events, gone;
static uint64_t packets, byte_count, reports, reported_lost;
static uint32_t reported_highest, window, unreported;
static uint64_t patience_ns, stalled_ns, source_ns;
static struct samples latencies;

static void take_reports(void)
{
	struct receiver_report report;
	ssize_t size;
	while ((size = recv(sock, &report, sizeof report, MSG_DONTWAIT)) >= 0) {
		if (size < (ssize_t)sizeof report || report.type != RTCP_RECEIVER_REPORT || ntohl(report.ssrc) != ssrc)
			continue;
		reports++;
		reported_lost = ntohl(report.lost) & 0xffffff;
		reported_highest = ntohl(report.highest);
		/* Frames behind the reported one are still on their way or unread. */
		uint16_t behind = (uint16_t)(sequence - 1 - (uint16_t)reported_highest);
		uint32_t packets_a_frame = FRAME_WORDS / CHUNK_WORDS;
		unreported = (behind + packets_a_frame - 1) / packets_a_frame;
	}
}

/* True when the sink keeps up, or does so again before our patience ends. */
static int sink_reads(void)
{
	take_reports();
	if (unreported < window)
		return 1;
	uint64_t begin = now_ns(), until = begin + patience_ns;
	for (uint64_t now = now_ns(); now < until && unreported >= window; now = now_ns()) {
		struct pollfd readable = {.fd = sock, .events = POLLIN};
		struct timespec rest = {.tv_sec = 0, .tv_nsec = (long)(until - now)};
		ppoll(&readable, 1, &rest, NULL);
		if (readable.revents & POLLERR)
			sched_yield(); /* nobody listens: that is no report */
		take_reports();
	}
	if (now_ns() - begin >= stalled_ns)
		stall_events++; /* else it was only busy with what we sent at once */
	if (unreported < window)
		return 1;
	unreported = 0; /* what is lost is lost: the next frame is sent again */
	stall_drops++;
	return 0;
}

static void send_packet(const struct frame *frame, uint32_t first)
{
	struct packet packet = {
		.rtp = {.version = 2 << 6, .type = PAYLOAD_TYPE, .sequence = htons(sequence++), .ssrc = htonl(ssrc)},
		.payload = {.generation = htonl(frame->generation), .number = htonl(frame->number),
			.version = htonl(frame->version), .first_word = htonl(first),
			.ingest_upper = htonl((uint32_t)(frame->ingest_ns >> 32)),
			.ingest_lower = htonl((uint32_t)frame->ingest_ns)},
	};
	packet.rtp.timestamp = htonl((uint32_t)(frame->ingest_ns * 9 / 100000)); /* 90 kHz */
	if (first + CHUNK_WORDS == FRAME_WORDS)
		packet.rtp.type |= 0x80;
	for (uint32_t i = 0; i < CHUNK_WORDS; i++) {
		packet.words[2 * i] = htonl((uint32_t)(frame->words[first + i] >> 32));
		packet.words[2 * i + 1] = htonl((uint32_t)frame->words[first + i]);
	}
	if (send(sock, &packet, sizeof packet, 0) >= 0) {
		packets++;
		byte_count += sizeof packet;
	}
}

static int is_whole(const struct frame *frame)
{
	for (uint32_t i = 0; i < FRAME_WORDS; i++)
		if (frame->words[i] != frame_word(frame->generation, frame->number, frame->version, i))
			return 0;
	return 1;
}

/* Copies a frame that is not torn, as often as that takes. */
static enum read_result read_whole(uint32_t generation, uint32_t number, struct frame *frame)
{
	uint64_t until = now_ns() + TRIES_NS;
	enum read_result result;
	uint32_t torn = 0;
	while ((result = ring_read(ring, generation, number, frame)) == READ_TORN && now_ns() < until) {
		/* One event for each overwriting that is met, however often it is looked at meanwhile. */
		if (!torn++)
			torn_events++;
		torn_seen += !is_whole(frame);
		while (atomic_load(&ring->slots[number % SLOTS].sequence) % 2 && now_ns() < until)
			sched_yield();
	}
	return result;
}

static void emit(uint32_t generation, uint32_t number)
{
	struct frame frame;
	if (read_whole(generation, number, &frame) != READ_OK || !is_whole(&frame)) {
		gone++;
		return;
	}
	if (!sink_reads())
		return;
	for (uint32_t first = 0; first < FRAME_WORDS; first += CHUNK_WORDS)
		send_packet(&frame, first);
	unreported++;
	emitted++;
	add_sample(&latencies, now_ns() - frame.ingest_ns);
}

static void begin_stream(uint32_t generation)
{
	ssrc = 0x5357524d + generation; /* a new one: RFC 3550, 8.1 */
	unreported = 0;
}

/* Emit until the source has ended; false when it vanished without saying so. */
static int stream(void)
{
	uint32_t generation = 0, next = 0;
	uint64_t heard = now_ns();
	begin_stream(generation);
	for (;;) {
		uint32_t bell = atomic_load(&ring->bell);
		uint32_t ended = atomic_load(&ring->ended);
		uint64_t head = atomic_load(&ring->head);
		if ((uint32_t)(head >> 32) != generation) {
			generation = (uint32_t)(head >> 32);
			next = 0;
			reset_events++;
			begin_stream(generation);
		}
		uint32_t end = (uint32_t)head;
		if (end > next + SLOTS)
			next = end - SLOTS;
		if (next < end) {
			emit(generation, next++);
			heard = now_ns();
		} else if (ended) {
			return 1;
		} else if (now_ns() - heard > source_ns) {
			return 0;
		} else {
			ring_listen(ring, bell);
		}
	}
}

static int connected(const char *host, unsigned long port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1
		|| connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		perror("streamer: socket");
		exit(66);
	}
	return fd;
}

static void write_sdp(const char *path, const char *host, unsigned long port)
{
	FILE *file = fopen(path, "w");
	if (!file || fprintf(file,
			"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=media-faults\r\nc=IN IP4 %s\r\nt=0 0\r\n"
			"m=video %lu RTP/AVPF %d\r\na=rtpmap:%d x-frame-words/90000\r\na=rtcp-mux\r\na=sendonly\r\n",
			host, port, PAYLOAD_TYPE, PAYLOAD_TYPE) < 0 || fclose(file) != 0) {
		perror(path);
		exit(66);
	}
}

static void say_bye(void)
{
	uint32_t bye[2] = {htonl(2u << 30 | 1u << 24 | RTCP_BYE << 16 | 1), htonl(ssrc)};
	for (int i = 0; i < 3; i++)
		if (send(sock, bye, sizeof bye, 0) < 0 && errno == ECONNREFUSED)
			return; /* it has heard the one before */
}

static void print_metrics(void)
{
	uint64_t published = atomic_load(&ring->published), dropped = published - emitted;
	printf("PIPELINE_METRICS published=%lu emitted=%lu dropped=%lu drop_ratio_ppm=%lu\n", published, emitted, dropped,
		published ? dropped * 1000000 / published : 0);
	printf("LATENCY_METRICS ingest_to_emit_samples=%zu", latencies.count);
	print_percentiles(&latencies);
	printf("\nFAULT_COUNTERS torn_read_events=%lu torn_contents=%lu sink_stall_events=%lu sink_stall_drops=%lu "
		"reset_events=%lu frames_gone=%lu\n", torn_events, torn_seen, stall_events, stall_drops, reset_events, gone);
	printf("RTP_METRICS packets_sent=%lu bytes_sent=%lu reports_received=%lu reported_lost=%lu\n", packets, byte_count,
		reports, reported_lost);
}

int main(int argc, char **argv)
{
	const char *host = needed(argc, argv, "host");
	unsigned long port = strtoul(needed(argc, argv, "port"), NULL, 10);
	window = (uint32_t)number_option(argc, argv, "window", 2);
	patience_ns = number_option(argc, argv, "patience-ms", 250) * 1000000u;
	source_ns = number_option(argc, argv, "source-ms", 10000) * 1000000u;
	stalled_ns = number_option(argc, argv, "stalled-us", 500) * 1000u;
	if (!window || !patience_ns || patience_ns >= 1000000000u) {
		fprintf(stderr, "streamer: --window from 1, --patience-ms from 1 to 999\n");
		return 64;
	}
	sock = connected(host, port);
	write_sdp(needed(argc, argv, "sdp"), host, port);
	ring = ring_attach(needed(argc, argv, "ring"));
	if (!ring)
		return 66;
	printf("streamer: sends to %s:%lu\n", host, port);
	fflush(stdout);
	int ended = stream();
	say_bye();
	print_metrics();
	if (!ended)
		fprintf(stderr, "streamer: the source is gone\n");
	return ended ? 0 : 1;
}
