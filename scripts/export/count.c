/* Prints how much time a number of steps takes on an emulated processor that executes one
 * instruction per nanosecond (qemu -icount shift=0), as instructions on RISC-V and as ticks of the
 * system timer on Cortex-M, and the bytes of a state. Compiled with -DHEADER="net.h"
 * -DNAME(name)=net_##name and, for a network, INPUTS; for a front end, HOP and FEATURES. */
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

#ifdef HOP
static NAME(front_end) state;
static void reset(void)
{
    NAME(front_end_reset)(&state);
}
static void step(uint32_t t)
{
    int32_t codes[FEATURES];
    uint32_t i;
    (void)t;
    for (i = 0; i < HOP; ++i) {
        static uint32_t word = 0x9e3779b9u;
        word ^= word << 13;
        word ^= word >> 17;
        word ^= word << 5;
        (void)NAME(front_end_push)(&state, (int16_t)(word >> 20), codes);
    }
}
#else
static NAME(state) state;
static void reset(void)
{
    NAME(reset)(&state);
}
static void step(uint32_t t)
{
    int32_t in[INPUTS] = {0};
    in[0] = (int32_t)(t & 127u);
    NAME(step)(&state, in);
}
#endif

int main(void)
{
    uint32_t start, end, t;
    reset();
    for (t = 0; t < 10u; ++t) {
        step(0u);
    }
    (void)now();
    start = now();
    for (t = 0; t < STEPS; ++t) {
        step(t);
    }
    end = now();
    printf("count %lu %lu\n", (unsigned long)(end - start), (unsigned long)sizeof state);
    return 0;
}
