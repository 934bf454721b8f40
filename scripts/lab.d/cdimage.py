# SPDX-License-Identifier: GPL-2.0
"""Makes an ISO 9660 image with Debian's ISOLINUX. As a CD or disk it boots Linux, or Xen and Linux, in any PC."""
import os
import shutil
import tempfile

import debian
from cache import output

PACKAGES = ["isolinux", "syslinux-common", "xorriso"]
BOOT_RECORD = "/usr/lib/ISOLINUX/isohdpfx.bin"      # makes the image bootable as a disk, too
MODULES = "/usr/lib/syslinux/modules/bios"
FILES = ("/usr/lib/ISOLINUX/isolinux.bin", f"{MODULES}/ldlinux.c32")
MULTIBOOT_FILES = (f"{MODULES}/mboot.c32", f"{MODULES}/libcom32.c32")
CONFIG = """\
default it
prompt 0
timeout 0
label it
"""
LINUX = """\
 kernel /kernel
 initrd /initrd
 append {command_line}
"""
XEN = """\
 kernel /mboot.c32
 append /xen {xen_command_line} --- /kernel {command_line} --- /initrd
"""


def make(image, kernel, initrd, command_line, xen=None, xen_command_line=""):
    """Writes the CD's image. `kernel`, `initrd` and `xen` are the files' bytes; Xen's kernel is that of dom0."""
    debian.install(PACKAGES)
    config = CONFIG + (XEN if xen else LINUX).format(command_line=command_line, xen_command_line=xen_command_line)
    contents = [("kernel", kernel), ("initrd", initrd), ("isolinux.cfg", config.encode())]
    if xen:
        contents.append(("xen", xen))
    with tempfile.TemporaryDirectory() as root:
        for name, data in contents:
            with open(os.path.join(root, name), "wb") as f:
                f.write(data)
        for file in FILES + (MULTIBOOT_FILES if xen else ()):
            shutil.copy(file, root)
        output(["xorriso", "-as", "mkisofs", "-quiet", "-o", image, "-b", "isolinux.bin", "-c", "boot.cat",
                "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "-isohybrid-mbr", BOOT_RECORD, root], "making the CD")
