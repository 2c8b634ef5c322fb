/* Planted bugs: each build variant has exactly one, or none. Judges must catch it and nothing else.
 * The build passes -DBUG_NAME=1; the code asks `if (BUG_NAME)`. */
#ifndef BUGS_H
#define BUGS_H

#ifndef BUG_MUTE /* sends no CSI frames (everything else goes on) */
#define BUG_MUTE 0
#endif
#ifndef BUG_WRONG_SLOT /* reports its TDM slot, sends in the next one */
#define BUG_WRONG_SLOT 0
#endif
#ifndef BUG_PANIC_AT_10S /* reads from an unmapped address ten seconds after reset */
#define BUG_PANIC_AT_10S 0
#endif
#ifndef BUG_LEAK_UNTIL_OOM /* loses two 1 KiB blocks with every CSI frame */
#define BUG_LEAK_UNTIL_OOM 0
#endif
#ifndef BUG_CORRUPT_FRAME /* every second CSI frame names more subcarriers than it carries */
#define BUG_CORRUPT_FRAME 0
#endif
#ifndef BUG_SLOW_BOOT /* does nothing for twelve seconds after reset */
#define BUG_SLOW_BOOT 0
#endif
#ifndef BUG_DEAF_COORDINATOR /* the hub beacons but ignores what nodes send it */
#define BUG_DEAF_COORDINATOR 0
#endif
#ifndef BUG_OUTAGE_REPORT /* notes in flash that it lost the hub; the start after that reports it, and panics */
#define BUG_OUTAGE_REPORT 0
#endif

#endif
