#include "crash.h"

#include "hal.h"
#include "log.h"

void crash_report(const char *cause, bool stack_overflow) {
  static int depth; /* a crash while reporting one must still end in a reset */
  if (depth++ == 0) {
    log_raw("%s", "");
    if (stack_overflow) {
      log_raw("***ERROR*** Stack overflow in task main has been detected.");
    }
    log_raw("Guru Meditation Error: Core  0 panic'ed (%s). Exception was unhandled.", cause);
    log_raw("%s", "");
    log_raw("Core  0 register dump:");
    hal_print_registers();
    log_raw("%s", "");
    log_raw("Rebooting...");
  }
  hal_reset();
}
