# SPDX-License-Identifier: GPL-2.0
"""Writes "newc" cpio archives, the format of an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst)."""
import os
import stat


class Archive:
    """An archive under construction. Each directory comes before the members in it."""

    def __init__(self):
        self.parts = []
        self.inode = 0
        self.seen = set()

    def _member(self, name, mode, data=b"", rdev=(0, 0)):
        # The kernel joins members with equal inode numbers into hard links, so each gets its own.
        self.inode += 1
        path = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % f for f in fields)
        self.parts += [header, path, b"\0" * (-(len(header) + len(path)) % 4), data, b"\0" * (-len(data) % 4)]

    def directory(self, name, mode=0o755):
        """Adds a directory and those above it, once."""
        name = name.strip("/")
        if not name or name in self.seen:
            return
        self.directory(os.path.dirname(name))
        self.seen.add(name)
        self._member(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        name = name.strip("/")
        self.directory(os.path.dirname(name))
        self._member(name, stat.S_IFREG | mode, data)

    def symlink(self, name, target):
        name = name.strip("/")
        self.directory(os.path.dirname(name))
        self._member(name, stat.S_IFLNK | 0o777, target.encode())

    def char_device(self, name, major, minor, mode=0o600):
        name = name.strip("/")
        self.directory(os.path.dirname(name))
        self._member(name, stat.S_IFCHR | mode, rdev=(major, minor))

    def copy(self, source, name):
        """Adds a file, a symbolic link or a whole directory of the host under another name."""
        info = os.lstat(source)
        if stat.S_ISDIR(info.st_mode):
            self.directory(name, stat.S_IMODE(info.st_mode))
            for entry in sorted(os.listdir(source)):
                self.copy(os.path.join(source, entry), f"{name}/{entry}")
        elif stat.S_ISLNK(info.st_mode):
            self.symlink(name, os.readlink(source))
        elif stat.S_ISREG(info.st_mode):
            with open(source, "rb") as f:
                self.file(name, f.read(), stat.S_IMODE(info.st_mode))

    def bytes(self):
        """Returns the finished archive, padded so that another archive can follow it."""
        tail = Archive()
        tail._member("TRAILER!!!", 0)
        data = b"".join(self.parts + tail.parts)
        return data + b"\0" * (-len(data) % 512)
