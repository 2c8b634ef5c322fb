/* Load for a switch: frames go in at one descriptor and are counted at another.
 *
 *   gen IN OUT SIZE RATE SECONDS
 *
 * IN and OUT are inherited packet sockets (one frame a message), SIZE the bytes of a frame, RATE the frames a second
 * (0: as fast as IN takes them; a full socket makes the sender wait). Prints one JSON object.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 32
#define LARGEST 9216
#define TICK_NS 250000
#define QUIET_NS 700000000u

static const unsigned char ADDRESS_IN[6] = {2, 0, 0, 0, 0, 1}, ADDRESS_OUT[6] = {2, 0, 0, 0, 0, 2};
static _Atomic uint64_t received;
static _Atomic uint64_t last_ns;
static _Atomic int finished;

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void make_frame(unsigned char *frame, const unsigned char *to, const unsigned char *from) {
    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    frame[12] = 0x88; /* local experimental EtherType 1 */
    frame[13] = 0xb5;
}

static void *count(void *argument) {
    int fd = *(int *)argument;
    static unsigned char space[BATCH][LARGEST];
    struct iovec parts[BATCH];
    struct mmsghdr messages[BATCH];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++) {
        parts[i].iov_base = space[i];
        parts[i].iov_len = LARGEST;
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    /* It looks in at intervals: being woken for each frame would make its wake-ups, on the sender's account, the
     * larger part of what is measured. */
    struct timespec nap = {0, TICK_NS};
    uint64_t quiet_since = clock_ns();
    while (!finished || clock_ns() - quiet_since < QUIET_NS) {
        int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) break;
        for (int i = 0; i < n; i++)
            if (memcmp(space[i], ADDRESS_OUT, 6) == 0) received++;
        if (n > 0) last_ns = quiet_since = clock_ns();
        else clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    }
    return NULL;
}

/* Let the switch learn where OUT is: it says so until IN hears it. */
static void introduce(int in, int out) {
    unsigned char frame[60] = {0}, heard[LARGEST];
    const unsigned char everybody[6] = {255, 255, 255, 255, 255, 255};
    make_frame(frame, everybody, ADDRESS_OUT);
    for (int i = 0; i < 100; i++) {
        struct pollfd ready = {in, POLLIN, 0};
        send(out, frame, sizeof frame, 0);
        if (poll(&ready, 1, 100) > 0) {
            while (recv(in, heard, sizeof heard, MSG_DONTWAIT) > 0) {
            }
            return;
        }
    }
    fprintf(stderr, "gen: nothing comes through\n");
    exit(1);
}

static void push(int fd, struct mmsghdr *messages, int count) {
    for (int done = 0; done < count;) {
        int n = sendmmsg(fd, messages + done, (unsigned)(count - done), 0);
        if (n > 0) {
            done += n;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            struct pollfd ready = {fd, POLLOUT, 0};
            poll(&ready, 1, 10);
        } else if (errno != EINTR) {
            perror("gen: send");
            exit(1);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    int in = atoi(argv[1]), out = atoi(argv[2]), size = atoi(argv[3]);
    double rate = atof(argv[4]), seconds = atof(argv[5]);
    if (size < 14 || size > LARGEST) return 2;
    introduce(in, out);
    pthread_t counter;
    if (pthread_create(&counter, NULL, count, &out)) return 1;

    static unsigned char frame[LARGEST];
    make_frame(frame, ADDRESS_OUT, ADDRESS_IN);
    struct iovec part = {frame, (size_t)size};
    struct mmsghdr messages[BATCH];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++) {
        messages[i].msg_hdr.msg_iov = &part;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    uint64_t start = clock_ns(), end = start + (uint64_t)(seconds * 1e9), sent = 0, now;
    while ((now = clock_ns()) < end) {
        uint64_t due = rate > 0 ? (uint64_t)((double)(now - start) * rate / 1e9) : sent + BATCH;
        while (sent < due) {
            int n = due - sent < BATCH ? (int)(due - sent) : BATCH;
            push(in, messages, n);
            sent += (uint64_t)n;
        }
        if (rate > 0) {
            struct timespec nap = {0, TICK_NS};
            clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
        }
    }
    finished = 1;
    pthread_join(counter, NULL);
    printf("{\"sent\": %llu, \"received\": %llu, \"seconds\": %.6f}\n", (unsigned long long)sent,
           (unsigned long long)received, (double)((last_ns > start ? last_ns : end) - start) / 1e9);
    return 0;
}
