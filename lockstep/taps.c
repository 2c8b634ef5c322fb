/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where frames and console bytes leave the guest, they come by here, on the processor's thread and at the exact
 * instruction. QEMU offers no hook there, so ours takes the place of a function pointer in a table of QEMU's. Where
 * in the table it stands differs between versions: we find it by trying, and prove it by a call that must reach us.
 */
#include <string.h>
#include <sys/uio.h>

#include "lockstep.h"

void *tapped_netdev, *tapped_console;

static const void *expected; /* the probe's data while we look for our place */
static bool reached;

static ssize_t take_frame(void *netdev, const uint8_t *data, size_t length)
{
    if (data == expected)
        reached = netdev == tapped_netdev;
    else
        output_frame(data, length);
    return length;
}

/* NetClientInfo: type, size, receive, and up to 9.x receive_raw; then receive_iov, can_receive, start (QEMU 7.2 to
 * 10: net/net.h). Without the latter ones everything goes to `receive`, whenever it comes. */
enum { INFO_WORDS = 16, INFO_RECEIVE = 2, INFO_LAST_CLEARED = 5 };

static const char *tap_netdev(const char *name)
{
    static const void *info[INFO_WORDS];
    static const uint8_t probe[64];
    tapped_netdev = qemu.qemu_find_netdev(name);
    if (tapped_netdev == NULL)
        return "there is no netdev of the given name";
    const void **client = tapped_netdev; /* NetClientState begins with the pointer to its info */
    const void *original = *client;
    memcpy(info, original, sizeof info);
    ssize_t (*ours)(void *, const uint8_t *, size_t) = take_frame;
    memcpy(&info[INFO_RECEIVE], &ours, sizeof ours);
    for (int word = INFO_RECEIVE + 1; word <= INFO_LAST_CLEARED; word++)
        info[word] = NULL;
    *client = info;
    expected = probe;
    reached = false;
    qemu.qemu_receive_packet(tapped_netdev, probe, sizeof probe);
    expected = NULL;
    if (reached)
        return NULL;
    *client = original;
    return "this QEMU's table of network functions is not as we know it";
}

static int (*original_write)(void *, const uint8_t *, int);

static int take_console(void *console, const uint8_t *data, int length)
{
    if (data == expected)
        reached = console == tapped_console && length == 1;
    else if (console == tapped_console)
        output_console(data, length);
    else if (original_write)
        return original_write(console, data, length);
    return length;
}

/* ChardevClass: ObjectClass (96 bytes so far), two booleans, parse, open, chr_write (chardev/char.h). Only one of the
 * pointers that are tried is called by qemu_chr_write, so a wrong one stays uncalled until it is put back. */
enum { CLASS_FIRST = 96, CLASS_END = 192 };

static const char *tap_console(const char *name)
{
    static const uint8_t probe[1];
    tapped_console = qemu.qemu_chr_find(name);
    if (tapped_console == NULL)
        return "there is no chardev of the given name";
    uint8_t *class = qemu.object_get_class(tapped_console);
    int (*ours)(void *, const uint8_t *, int) = take_console;
    expected = probe;
    reached = false;
    for (size_t offset = CLASS_FIRST; offset < CLASS_END && !reached; offset += sizeof(void *)) {
        memcpy(&original_write, class + offset, sizeof original_write);
        memcpy(class + offset, &ours, sizeof ours);
        qemu.qemu_chr_write(tapped_console, probe, sizeof probe, false);
        if (!reached)
            memcpy(class + offset, &original_write, sizeof original_write);
    }
    expected = NULL;
    return reached ? NULL : "this QEMU's table of character device functions is not as we know it";
}

const char *taps_install(const char *netdev, const char *console)
{
    const char *problem = netdev ? tap_netdev(netdev) : NULL;
    if (problem == NULL && console)
        problem = tap_console(console);
    return problem;
}
