/* What the trap entry of a port saves, in the order that it saves it. */
#ifndef TRAP_H
#define TRAP_H

#include <stdbool.h>
#include <stdint.h>

struct trap_frame {
  uint32_t registers[32]; /* [0] is the program counter, the others x1 to x31 */
  uint32_t cause, value, status;
  uint32_t stack_overflow; /* not zero: the address that failed lies in the stack's guard */
};

_Noreturn void trap_report(const struct trap_frame *frame);

#endif
