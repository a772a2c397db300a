/* Prints through the serial port of an emulated AVR, and ends the emulation with the program. */
#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>
#include <stdio.h>

static int put(char c, FILE *file)
{
    (void)file;
    while ((UCSR0A & (1 << UDRE0)) == 0) {
    }
    UDR0 = (uint8_t)c;
    return 0;
}
static FILE serial = FDEV_SETUP_STREAM(put, NULL, _FDEV_SETUP_WRITE);

static void __attribute__((constructor)) begin(void)
{
    UCSR0B = 1 << TXEN0;
    stdout = &serial;
}
static void __attribute__((destructor)) end(void)
{
    cli();
    sleep_enable();
    sleep_cpu();
}
