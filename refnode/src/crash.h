/* What a crash leaves behind: a report in the format of ESP-IDF's panic handler, then a reset. */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>

/* Called by the port, on a stack of its own. `cause` is one of ESP-IDF's words: LoadProhibited, IllegalInstruction, … */
_Noreturn void crash_report(const char *cause, bool stack_overflow);

#endif
