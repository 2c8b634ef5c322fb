/* What a trap was about, in the words of ESP-IDF. */
#include "crash.h"
#include "hal.h"
#include "log.h"

/* What the trap entry saves, in the order that it saves it. */
struct trap_frame {
  uint32_t registers[32]; /* [0] is the program counter, the others x1 to x31 */
  uint32_t cause, value, status;
  uint32_t stack_overflow; /* not zero: the address that failed lies in the stack's guard */
};

_Noreturn void trap_report(const struct trap_frame *frame);

static const struct trap_frame *crashed;

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

void hal_print_registers(void) {
  static const char *const names[32] = {
      "MEPC", "RA", "SP", "GP", "TP", "T0", "T1", "T2", "S0/FP", "S1", "A0", "A1", "A2", "A3", "A4", "A5",
      "A6", "A7", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "T3", "T4", "T5", "T6",
  };
  for (int i = 0; i < 32; i += 4) {
    const uint32_t *value = &crashed->registers[i];
    log_raw("%s: 0x%08x  %s: 0x%08x  %s: 0x%08x  %s: 0x%08x", names[i], (unsigned)value[0], names[i + 1],
            (unsigned)value[1], names[i + 2], (unsigned)value[2], names[i + 3], (unsigned)value[3]);
  }
  log_raw("MCAUSE: 0x%08x  MTVAL: 0x%08x  MSTATUS: 0x%08x", (unsigned)crashed->cause, (unsigned)crashed->value,
          (unsigned)crashed->status);
}

void trap_report(const struct trap_frame *frame) {
  crashed = frame;
  crash_report(cause_name(frame), frame->stack_overflow != 0);
}
