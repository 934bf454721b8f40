# SPDX-License-Identifier: GPL-2.0
"""Builds the option ROM that boots Linux inside Bochs without a disk.

Bochs can put files straight into the machine's memory (optramimage). The BIOS calls option ROMs
before it looks for something to boot, so a ROM that carries the kernel's real-mode setup code can
start the kernel at once: no disk driver of the BIOS reads tens of megabytes word by word, and no
boot menu waits. The 16-bit protocol is that of Documentation/arch/x86/boot.rst.
"""
import struct

ROM_ADDRESS = 0xD0000         # behind the VGA BIOS, which ends above 0xC8000
KERNEL_ADDRESS = 0x100000     # where the protected-mode part of a bzImage is loaded
SETUP_SEGMENT = 0x9000        # where the real-mode part runs
HEAP_END = 0xE000             # in SETUP_SEGMENT: end of the setup code's heap, top of its stack
COPY_BYTES = 0xF000           # setup code, heap, and the command line behind them
LOADER_BYTES = 0x200
ROM_BYTES = 0xF800            # LOADER_BYTES + COPY_BYTES, rounded up to what the BIOS scans by
COMMAND_LINE_MAX = COPY_BYTES - HEAP_END

LOADER = bytes.fromhex(
    "fa fc"            # cli; cld
    "8c c8 8e d8"      # mov ax, cs; mov ds, ax
    "b8 00 90 8e c0"   # mov ax, SETUP_SEGMENT; mov es, ax
    "be 00 02 31 ff"   # mov si, LOADER_BYTES; xor di, di
    "b9 00 78 f3 a5"   # mov cx, COPY_BYTES / 2; rep movsw
    "8e d8 8e e0 8e e8 8e d0"  # mov ds, ax; mov fs, ax; mov gs, ax; mov ss, ax
    "bc 00 e0"         # mov sp, HEAP_END
    "ea 00 00 20 90")  # jmp far SETUP_SEGMENT+0x20:0, the setup code's entry


class NotAKernel(Exception):
    """The file is no bzImage that this loader understands."""


def split(image):
    """Splits a bzImage into its real-mode and its protected-mode part."""
    if len(image) < 0x1000 or image[0x202:0x206] != b"HdrS":
        raise NotAKernel("it has no Linux boot header")
    if struct.unpack_from("<H", image, 0x206)[0] < 0x0202:
        raise NotAKernel("its boot protocol is older than 2.02")
    size = ((image[0x1F1] or 4) + 1) * 512
    if size > HEAP_END - 0x2000:
        raise NotAKernel("its setup code is too large")
    return bytearray(image[:size]), image[size:]


def build(setup, command_line, initrd_address, initrd_size):
    """Returns the ROM for a kernel whose other parts are put into memory by the emulator."""
    if len(command_line) >= COMMAND_LINE_MAX:
        raise NotAKernel("the command line is too long")
    struct.pack_into("<H", setup, 0x1FA, 0xFFFF)                 # vid_mode: as it is
    struct.pack_into("<BB", setup, 0x210, 0xFF, setup[0x211] | 0x81)  # loader unknown; LOADED_HIGH, CAN_USE_HEAP
    struct.pack_into("<LLL", setup, 0x214, KERNEL_ADDRESS, initrd_address, initrd_size)
    struct.pack_into("<H", setup, 0x224, HEAP_END - 0x200)       # heap_end_ptr
    struct.pack_into("<L", setup, 0x228, SETUP_SEGMENT * 16 + HEAP_END)  # cmd_line_ptr
    copied = bytes(setup).ljust(HEAP_END, b"\0") + command_line.encode().ljust(COMMAND_LINE_MAX, b"\0")
    header = bytes((0x55, 0xAA, ROM_BYTES // 512, 0xEB, 0x1E - 5))  # signature, size, jmp 0x1e
    rom = bytearray((header.ljust(0x1E, b"\0") + LOADER).ljust(LOADER_BYTES, b"\0") + copied)
    rom = rom.ljust(ROM_BYTES, b"\0")
    rom[-1] = -sum(rom) & 0xFF
    return bytes(rom)
