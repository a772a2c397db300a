/* Prints how much time a number of steps takes on an emulated processor that executes one
 * instruction per nanosecond (qemu -icount shift=0): instructions on RISC-V, ticks of the system
 * timer on Cortex-M. Compiled with -DHEADER="net.h" -DNET(name)=net_##name. */
#include HEADER

#include <stdio.h>

#ifdef __riscv
static uint32_t now(void)
{
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}
#else
#define SYSTICK ((volatile uint32_t *)0xe000e010u)
static uint32_t now(void)
{
    if ((SYSTICK[0] & 1u) == 0u) {
        SYSTICK[1] = 0xffffffu; /* reload value */
        SYSTICK[2] = 0u;
        SYSTICK[0] = 5u; /* on, clock of the processor */
        while (SYSTICK[2] == 0u) {
            /* until the reload value is in effect */
        }
    }
    return 0xffffffu - SYSTICK[2];
}
#endif

int main(void)
{
    static NET(state) state;
    int32_t in[INPUTS] = {0};
    uint32_t start, end;
    int t;
    NET(reset)(&state);
    for (t = 0; t < 10; ++t) {
        NET(step)(&state, in);
    }
    (void)now();
    start = now();
    for (t = 0; t < STEPS; ++t) {
        in[0] = t & 127;
        NET(step)(&state, in);
    }
    end = now();
    printf("count %lu\n", (unsigned long)(end - start));
    return 0;
}
