/* What a trap leaves behind: a report in the format of ESP-IDF's panic handler, then a reset. */
#include "hal.h"
#include "log.h"
#include "trap.h"

static const char *cause_name(const struct trap_frame *frame) {
  switch (frame->cause) {
    case 0: case 1: case 12:
      return "InstrFetchProhibited";
    case 2:
      return "IllegalInstruction";
    case 3:
      return "Breakpoint";
    case 4: case 6:
      return "LoadStoreAlignment";
    case 5: case 13:
      return "LoadProhibited";
    case 7: case 15:
      return "StoreProhibited";
    default:
      return "Unknown";
  }
}

static void print_registers(const struct trap_frame *frame) {
  static const char *const names[32] = {
      "MEPC", "RA", "SP", "GP", "TP", "T0", "T1", "T2", "S0/FP", "S1", "A0", "A1", "A2", "A3", "A4", "A5",
      "A6", "A7", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "T3", "T4", "T5", "T6",
  };
  log_raw("Core  0 register dump:");
  for (int i = 0; i < 32; i += 4) {
    const uint32_t *value = &frame->registers[i];
    log_raw("%s: 0x%08x  %s: 0x%08x  %s: 0x%08x  %s: 0x%08x", names[i], (unsigned)value[0], names[i + 1],
            (unsigned)value[1], names[i + 2], (unsigned)value[2], names[i + 3], (unsigned)value[3]);
  }
  log_raw("MCAUSE: 0x%08x  MTVAL: 0x%08x  MSTATUS: 0x%08x", (unsigned)frame->cause, (unsigned)frame->value,
          (unsigned)frame->status);
}

void trap_report(const struct trap_frame *frame) {
  static int depth; /* a crash while reporting one must still end in a reset */
  if (depth++ == 0) {
    log_raw("%s", "");
    if (frame->stack_overflow) {
      log_raw("***ERROR*** Stack overflow in task main has been detected.");
    }
    log_raw("Guru Meditation Error: Core  0 panic'ed (%s). Exception was unhandled.", cause_name(frame));
    log_raw("%s", "");
    print_registers(frame);
    log_raw("%s", "");
    log_raw("Rebooting...");
  }
  hal_reset();
}
