# Platforms that exported C is compiled for and run on, for scripts/check-export and
# scripts/export-resources.
# shellcheck shell=bash
strict=(-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align -Werror)
optimization=-O2  # for microcontrollers
hosted=(--specs=picolibc.specs --oslib=semihost --crt0=hosted)
memory() { # flash, its size, RAM, its size
  echo "-Wl,--defsym=__flash=$1,--defsym=__flash_size=$2,--defsym=__ram=$3,--defsym=__ram_size=$4"
}
# qemu exits by itself when the program ends.
emulated=(-nographic -monitor none -serial none -icount shift=0)
arm_semihosting=(-semihosting-config enable=on,target=native)

compiler() { # of a platform, with flags
  case $1 in
    gcc) echo gcc -O2 ;;
    sanitizers) echo gcc -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all ;;
    clang) echo clang -O2 ;;
    i686) echo i686-linux-gnu-gcc -O2 -static ;;
    powerpc) echo powerpc-linux-gnu-gcc -O2 -static ;;
    cortex-m4) echo arm-none-eabi-gcc $optimization -mcpu=cortex-m4 -mthumb ;;
    cortex-m33) echo arm-none-eabi-gcc $optimization -mcpu=cortex-m33 -mfloat-abi=soft -mthumb ;;
    cortex-m55) echo arm-none-eabi-gcc $optimization -mcpu=cortex-m55 -mfloat-abi=hard -mthumb ;;
    riscv) echo riscv64-unknown-elf-gcc $optimization -march=rv32imac -misa-spec=2.2 -mabi=ilp32 ;;
    avr) echo avr-gcc $optimization -mmcu=atmega1284p ;;
  esac
}
linker() {
  case $1 in
    cortex-m4) echo "${hosted[@]}" "$(memory 0x0 0x400000 0x20000000 0x400000)" ;;
    cortex-m33) echo "${hosted[@]}" "$(memory 0x10000000 0x400000 0x38000000 0x200000)" ;;
    cortex-m55) echo "${hosted[@]}" "$(memory 0x10000000 0x80000 0x30000000 0x80000)" ;;
    riscv) echo "${hosted[@]}" "$(memory 0x80000000 0x400000 0x80400000 0x400000)" ;;
  esac
}
# Whether a program fits its processor. On AVR, constants are copied to its 16 KB of RAM, and the stack needs some.
fits() { # platform, program
  [[ $1 != avr ]] || (($(avr-size "$2" | awk 'NR == 2 { print $2 + $3 }') <= 15872))
}
execute() { # platform, program
  case $1 in
    powerpc) qemu-ppc "$2" ;;
    cortex-m4) qemu-system-arm -M mps2-an386 "${emulated[@]}" "${arm_semihosting[@]}" -kernel "$2" ;;
    cortex-m33) qemu-system-arm -M mps2-an505 "${emulated[@]}" "${arm_semihosting[@]}" -kernel "$2" ;;
    cortex-m55) qemu-system-arm -M mps3-an547 "${emulated[@]}" "${arm_semihosting[@]}" -kernel "$2" ;;
    riscv) qemu-system-riscv32 -M virt -bios none "${emulated[@]}" -semihosting -kernel "$2" ;;
    avr) simavr -m atmega1284p -f 16000000 "$2" ;;
    *) "$2" ;;
  esac
}
# Duration of a tick of the system timer in nanoseconds, which are instructions.
tick() {
  case $1 in
    cortex-m4) echo 40 ;;
    cortex-m33) echo 50 ;;
    cortex-m55) echo 31.25 ;;
    riscv) echo 1 ;;
  esac
}
