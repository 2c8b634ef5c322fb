/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lockstep.h"

int channel = -1;

static void buffer_reserve(struct buffer *buffer, size_t capacity)
{
    if (capacity <= buffer->capacity)
        return;
    size_t larger = buffer->capacity * 2 > capacity ? buffer->capacity * 2 : capacity;
    void *data = realloc(buffer->data, larger);
    if (data == NULL) {
        fprintf(stderr, "lockstep: out of memory\n");
        abort();
    }
    buffer->data = data;
    buffer->capacity = larger;
}

void buffer_append(struct buffer *buffer, const void *data, size_t length)
{
    buffer_reserve(buffer, buffer->length + length);
    if (length)
        memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
}

bool channel_send(const void *data, size_t length)
{
    const uint8_t *rest = data;
    while (length > 0) {
        ssize_t sent = send(channel, rest, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        rest += sent;
        length -= sent;
    }
    return true;
}

/* Exactly so many bytes: nothing is read ahead, so that the main loop can watch the socket while the guest is held. */
static bool receive(void *data, size_t length)
{
    uint8_t *rest = data;
    while (length > 0) {
        ssize_t got = recv(channel, rest, length, MSG_WAITALL);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        rest += got;
        length -= got;
    }
    return true;
}

bool channel_receive(struct message *message)
{
    static struct buffer body;
    struct header header;
    if (!receive(&header, sizeof header))
        return false;
    if (header.length < sizeof header || header.length > LOCKSTEP_MESSAGE_LIMIT) {
        quit("the rig sent a message of %u bytes", header.length);
        return false;
    }
    size_t length = header.length - sizeof header;
    buffer_reserve(&body, length);
    if (!receive(body.data, length)) {
        quit("the rig is gone in the middle of a message");
        return false;
    }
    *message = (struct message){header.kind, header.flags, body.data, length};
    return true;
}

/* A guest in the middle of a long quantum does not look at the socket: this thread does. */
static void *watch(void *when_gone)
{
    struct pollfd hang_up = {.fd = channel, .events = POLLRDHUP};
    while (poll(&hang_up, 1, -1) < 1)
        continue;
    processor_later(*(void (**)(void *, uint64_t))when_gone);
    return NULL;
}

bool channel_watch(void (*when_gone)(void *, uint64_t))
{
    static void (*callback)(void *, uint64_t);
    sigset_t all, before;
    pthread_t thread;
    callback = when_gone;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for QEMU's own threads */
    bool created = pthread_create(&thread, NULL, watch, &callback) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return created;
}
