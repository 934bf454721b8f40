# SPDX-License-Identifier: GPL-2.0
"""Makes a CD, or disk, that boots a Linux kernel in any PC with firmware: Debian's ISOLINUX in an ISO 9660 image."""
import os
import shutil
import tempfile

import debian
from cache import output

PACKAGES = ["isolinux", "syslinux-common", "xorriso"]
BOOT_RECORD = "/usr/lib/ISOLINUX/isohdpfx.bin"      # what makes the image a bootable disk, too
FILES = ("/usr/lib/ISOLINUX/isolinux.bin", "/usr/lib/syslinux/modules/bios/ldlinux.c32")
CONFIG = """\
default linux
prompt 0
timeout 0
label linux
 kernel /kernel
 initrd /initrd
 append {command_line}
"""


def make(image, kernel, initrd, command_line):
    """Writes the CD's image; kernel and initrd are their bytes."""
    debian.install(PACKAGES)
    with tempfile.TemporaryDirectory() as root:
        for name, data in (("kernel", kernel), ("initrd", initrd),
                           ("isolinux.cfg", CONFIG.format(command_line=command_line).encode())):
            with open(os.path.join(root, name), "wb") as f:
                f.write(data)
        for file in FILES:
            shutil.copy(file, root)
        output(["xorriso", "-as", "mkisofs", "-quiet", "-o", image, "-b", "isolinux.bin", "-c", "boot.cat",
                "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-isohybrid-mbr", BOOT_RECORD, root], "making the CD")
