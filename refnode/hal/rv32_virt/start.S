/* Reset and trap entry. The core runs in machine mode with interrupts disabled for good: WFI still wakes on a
 * pending one, and the main loop serves it. So every trap that arrives here is a crash. */
  .section .init, "ax"
  .globl _start
_start:
  .option push
  .option norelax
  la gp, __global_pointer$
  .option pop
  la sp, __stack_top
  la t0, trap_entry
  csrw mtvec, t0
  la t0, __trap_stack_top
  csrw mscratch, t0
  li t0, 0x2000            /* mstatus.FS = initial: the FPU may be used */
  csrs mstatus, t0
  csrw fcsr, zero
  /* PMP entry 0: the 4 KiB guard page, no permissions, locked so that it binds machine mode too. */
  la t0, __stack_guard
  srli t0, t0, 2
  ori t0, t0, 0x1ff
  csrw pmpaddr0, t0
  li t0, 0x98              /* L | NAPOT */
  csrw pmpcfg0, t0
  la t0, __bss_start
  la t1, __bss_end
1:
  bgeu t0, t1, 2f
  sw zero, 0(t0)
  addi t0, t0, 4
  j 1b
2:
  call main
3:
  wfi
  j 3b

/* Save the registers where trap.c expects them (struct trap_frame) on a stack of its own: the crash may well
 * be a stack overflow. A crash while reporting a crash starts over on the same stack; crash_report() ends that. */
  .section .text.trap, "ax"
  .balign 4
trap_entry:
  csrrw sp, mscratch, sp
  addi sp, sp, -144
  sw x1, 4(sp)
  sw x3, 12(sp)
  sw x4, 16(sp)
  sw x5, 20(sp)
  sw x6, 24(sp)
  sw x7, 28(sp)
  sw x8, 32(sp)
  sw x9, 36(sp)
  sw x10, 40(sp)
  sw x11, 44(sp)
  sw x12, 48(sp)
  sw x13, 52(sp)
  sw x14, 56(sp)
  sw x15, 60(sp)
  sw x16, 64(sp)
  sw x17, 68(sp)
  sw x18, 72(sp)
  sw x19, 76(sp)
  sw x20, 80(sp)
  sw x21, 84(sp)
  sw x22, 88(sp)
  sw x23, 92(sp)
  sw x24, 96(sp)
  sw x25, 100(sp)
  sw x26, 104(sp)
  sw x27, 108(sp)
  sw x28, 112(sp)
  sw x29, 116(sp)
  sw x30, 120(sp)
  sw x31, 124(sp)
  csrr t0, mepc
  sw t0, 0(sp)
  csrr t0, mscratch
  sw t0, 8(sp)
  csrr t0, mcause
  sw t0, 128(sp)
  csrr t0, mtval
  sw t0, 132(sp)
  la t1, __stack_guard
  sub t0, t0, t1
  srli t0, t0, 12
  seqz t0, t0
  sw t0, 140(sp)
  csrr t0, mstatus
  sw t0, 136(sp)
  la t0, __trap_stack_top
  csrw mscratch, t0
  mv a0, sp
  call trap_report
4:
  j 4b
