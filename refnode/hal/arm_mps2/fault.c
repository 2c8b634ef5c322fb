/* What a fault was about, in the words of ESP-IDF. */
#include "board.h"
#include "crash.h"
#include "hal.h"
#include "log.h"

enum { NMI = 2 };
enum { MEMORY_INSTRUCTION = 1 << 0, MEMORY_DATA = 1 << 1, MEMORY_STACKING = 1 << 4, MEMORY_ADDRESS_VALID = 1 << 7 };
enum { BUS_INSTRUCTION = 1 << 8, BUS_DATA = 1 << 9, BUS_ADDRESS_VALID = 1 << 15 };
enum { USAGE_UNDEFINED = 1 << 16, USAGE_STATE = 1 << 17, USAGE_UNALIGNED = 1 << 24 };
enum { ALIGNED_STACK = 1 << 9, HARDWARE_FRAME = 32 };

extern uint8_t __stack_guard[], __stack_limit[];

/* What the fault entry saves, in the order that it saves it. */
struct fault_frame {
  uint32_t r4_to_r11[8];
  const uint32_t *stack; /* where the processor has put r0 to r3, r12, LR, PC and xPSR, if there was room */
  uint32_t exception;    /* its number */
};

_Noreturn void fault_report(const struct fault_frame *frame);

static struct {
  uint32_t r[16], xpsr, faults, hard_faults, address;
} crashed;

static uint32_t fault_address(uint32_t faults) {
  if (faults & MEMORY_ADDRESS_VALID) {
    return read32(SCB_MEMORY_FAULT_ADDRESS);
  }
  return faults & BUS_ADDRESS_VALID ? read32(SCB_BUS_FAULT_ADDRESS) : 0;
}

static void save(const struct fault_frame *frame) {
  crashed.faults = read32(SCB_FAULT_STATUS);
  crashed.hard_faults = read32(SCB_HARD_FAULT_STATUS);
  crashed.address = fault_address(crashed.faults);
  for (int i = 0; i < 8; i++) {
    crashed.r[4 + i] = frame->r4_to_r11[i];
  }
  crashed.r[13] = (uint32_t)frame->stack + HARDWARE_FRAME;
  if (crashed.faults & MEMORY_STACKING) {
    return; /* the stack was full: these registers are lost */
  }
  for (int i = 0; i < 4; i++) {
    crashed.r[i] = frame->stack[i];
  }
  crashed.r[12] = frame->stack[4];
  crashed.r[14] = frame->stack[5];
  crashed.r[15] = frame->stack[6];
  crashed.xpsr = frame->stack[7];
  crashed.r[13] += crashed.xpsr & ALIGNED_STACK ? 4 : 0;
}

/* Whether the Thumb instruction at the program counter stores (ARMv7-M, A5): faults do not tell. */
static bool was_a_store(void) {
  uint32_t code = *(const uint16_t *)(uintptr_t)crashed.r[15];
  if (code >> 11 >= 0x1d) { /* 32 bits long */
    return !(code & 1 << 4);
  }
  if (code >> 12 == 5) { /* register offset: STR, STRH, STRB, then loads */
    return (code >> 9 & 7) < 3;
  }
  return !(code & 1 << 11); /* immediate offset, multiple, push and pop */
}

static const char *cause_name(uint32_t exception) {
  uint32_t faults = crashed.faults;
  if (exception == NMI) {
    return "Interrupt wdt timeout on CPU0"; /* what ESP-IDF uses its NMI for */
  }
  if (faults & MEMORY_STACKING) {
    return "StoreProhibited";
  }
  if (faults & (MEMORY_INSTRUCTION | BUS_INSTRUCTION | USAGE_STATE)) {
    return "InstrFetchProhibited";
  }
  if (faults & (MEMORY_DATA | BUS_DATA)) {
    return was_a_store() ? "StoreProhibited" : "LoadProhibited";
  }
  if (faults & USAGE_UNALIGNED) {
    return "LoadStoreAlignment";
  }
  return faults & USAGE_UNDEFINED ? "IllegalInstruction" : "Unknown";
}

static bool is_in_guard(uint32_t address) {
  return address >= (uint32_t)(uintptr_t)__stack_guard && address < (uint32_t)(uintptr_t)__stack_limit;
}

void hal_print_registers(void) {
  static const char *const names[16] = {"R0", "R1", "R2", "R3", "R4", "R5", "R6", "R7",
                                        "R8", "R9", "R10", "R11", "R12", "SP", "LR", "PC"};
  for (int i = 12; i >= 0; i -= 4) { /* the program counter comes first, as everywhere */
    const uint32_t *value = &crashed.r[i];
    log_raw("%s: 0x%08x  %s: 0x%08x  %s: 0x%08x  %s: 0x%08x", names[i + 3], (unsigned)value[3], names[i + 2],
            (unsigned)value[2], names[i + 1], (unsigned)value[1], names[i], (unsigned)value[0]);
  }
  log_raw("CFSR: 0x%08x  HFSR: 0x%08x  FAULTADDR: 0x%08x  XPSR: 0x%08x", (unsigned)crashed.faults,
          (unsigned)crashed.hard_faults, (unsigned)crashed.address, (unsigned)crashed.xpsr);
}

void fault_report(const struct fault_frame *frame) {
  save(frame);
  crash_report(cause_name(frame->exception), crashed.faults & MEMORY_STACKING || is_in_guard(crashed.address));
}
