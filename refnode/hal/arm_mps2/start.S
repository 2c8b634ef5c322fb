/* Reset, vectors and fault entry. The program runs in thread mode on the process stack with interrupts masked for good:
 * WFI still wakes on a pending one, and the main loop serves it. So every exception that arrives here is a crash. */
  .syntax unified
  .cpu cortex-m3
  .thumb

  .section .vectors, "a"
  .word __fault_stack_top
  .word _start
  .rept 14                 /* NMI and all faults; the others are never taken */
  .word fault_entry
  .endr

  .section .text.start, "ax"
  .globl _start
  .thumb_func
_start:
  cpsid i
  ldr r0, =__stack_top
  msr psp, r0
  movs r0, #2
  msr control, r0
  isb
  /* MPU region 0: the 4 KiB guard page, no access; everything else as without an MPU. */
  ldr r0, =0xe000ed94
  ldr r1, =__stack_guard
  orr r1, r1, #0x10        /* VALID, region 0 */
  str r1, [r0, #8]
  ldr r1, =0x10000017      /* execute never, no access, 2^(11+1) bytes, enabled */
  str r1, [r0, #12]
  movs r1, #5              /* enabled, with the default map behind it */
  str r1, [r0]
  dsb
  isb
  ldr r0, =__bss_start
  ldr r1, =__bss_end
  movs r2, #0
1:
  cmp r0, r1
  bhs 2f
  str r2, [r0], #4
  b 1b
2:
  bl main
3:
  wfi
  b 3b

/* Save what the processor did not (struct fault_frame), and leave the exception for fault_report(): in it, one more
 * fault would lock the processor up, out of it, it comes here again. The stack is the faults' own, and starts over:
 * the crash may well be a stack overflow. */
  .section .text.fault, "ax"
  .globl fault_entry
  .thumb_func
fault_entry:
  ldr r0, =__fault_stack_top
  mov sp, r0
  mrs r1, psp
  mrs r2, ipsr
  push {r1, r2}
  push {r4-r11}
  mov r0, sp
  sub sp, sp, #40          /* a frame that "returns" to fault_report(r0) */
  ldr r1, =fault_report
  bic r1, r1, #1
  mov r2, #0x01000000      /* Thumb */
  str r0, [sp]
  str r1, [sp, #24]
  str r2, [sp, #28]
  mvn r0, #6               /* 0xfffffff9: to thread mode on this stack */
  bx r0
