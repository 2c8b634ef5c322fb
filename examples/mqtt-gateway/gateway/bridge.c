/* From UDP to MQTT: what sensors send to port 5005 is published at the broker of this machine.
 *
 *     csi/NODE     {"seq": 7, "rssi": -44, "mhz": 2437}     a frame of channel state information
 *     vitals/NODE  {"presence": 1, "fall": 0, "motion": 1}  what a node concluded from its frames
 *
 * MQTT 3.1.1 as far as it takes: CONNECT, CONNACK, PUBLISH with QoS 0.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CSI 0xC5110001u
#define VITALS 0xC5110002u
#define CSI_HEADER 20
#define VITALS_SIZE 32
#define TRIES 500 /* 20 ms apart */

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void end(int signal_number) {
    (void)signal_number;
    _exit(0);
}

static uint32_t word(const uint8_t *at) { return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24; }

static void send_all(int broker, const void *data, size_t size) {
    if (write(broker, data, size) != (ssize_t)size)
        fail("bridge: the broker");
}

/* The broker is started at the same time as the bridge. */
static int connect_broker(void) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(1883), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const struct timespec pause = {0, 20 * 1000 * 1000};
    for (int tries = 0; tries < TRIES; tries++) {
        int broker = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(broker, (struct sockaddr *)&place, sizeof place) == 0)
            return broker;
        close(broker);
        nanosleep(&pause, NULL);
    }
    fail("bridge: no broker");
    return -1;
}

static void log_in(int broker) {
    static const uint8_t hello[] = {0x10, 18, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 6, 'b', 'r', 'i', 'd', 'g', 'e'};
    uint8_t answer[4];
    send_all(broker, hello, sizeof hello);
    if (read(broker, answer, sizeof answer) != sizeof answer || answer[0] != 0x20 || answer[3] != 0) {
        fprintf(stderr, "bridge: the broker refuses\n");
        exit(1);
    }
}

static void publish(int broker, const char *topic, const char *text) {
    uint8_t packet[256];
    size_t topic_size = strlen(topic), text_size = strlen(text), size = 2 + topic_size + text_size;
    uint8_t *at = packet;
    *at++ = 0x30;
    for (; size > 127; size >>= 7) /* remaining length: seven bits a byte, low ones first */
        *at++ = (size & 127) | 128;
    *at++ = size;
    *at++ = 0;
    *at++ = topic_size;
    memcpy(at, topic, topic_size);
    memcpy(at + topic_size, text, text_size);
    send_all(broker, packet, at + topic_size + text_size - packet);
}

static void pass_on(int broker, const uint8_t *data, size_t size) {
    char topic[16], text[96];
    if (size >= CSI_HEADER && word(data) == CSI) {
        snprintf(topic, sizeof topic, "csi/%u", data[4]);
        snprintf(text, sizeof text, "{\"seq\": %u, \"rssi\": %d, \"mhz\": %u}", word(data + 12), (int8_t)data[16],
                 word(data + 8));
    } else if (size == VITALS_SIZE && word(data) == VITALS) {
        snprintf(topic, sizeof topic, "vitals/%u", data[4]);
        snprintf(text, sizeof text, "{\"presence\": %d, \"fall\": %d, \"motion\": %d}", data[5] & 1, data[5] >> 1 & 1,
                 data[5] >> 2 & 1);
    } else {
        return;
    }
    publish(broker, topic, text);
}

int main(void) {
    uint8_t data[2048];
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(5005), .sin_addr = {htonl(INADDR_ANY)}};
    int sensors = socket(AF_INET, SOCK_DGRAM, 0);
    signal(SIGTERM, end); /* as the first process of a container, it would not be ended by default */
    signal(SIGPIPE, SIG_IGN);
    if (sensors < 0 || bind(sensors, (struct sockaddr *)&any, sizeof any) != 0)
        fail("bridge: UDP port 5005");
    int broker = connect_broker();
    log_in(broker);
    printf("bridge: ready\n");
    fflush(stdout);
    for (;;) {
        ssize_t size = recv(sensors, data, sizeof data, 0);
        if (size < 0)
            fail("bridge: recv");
        pass_on(broker, data, size);
    }
}
