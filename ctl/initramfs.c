// SPDX-License-Identifier: GPL-2.0
/*
 * Makes a small initial RAM disk that gives a shell. The archive's format is
 * "newc" (Documentation/driver-api/early-userspace/buffer-format.rst).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "initramfs.h"
#include "say.h"

#define FILE_MAX	(64 << 20)	/* larger files are no BusyBox */
#define TRAILER		"TRAILER!!!"

static const char init_script[] =
	"#!/bin/busybox sh\n"
	"/bin/busybox mount -t proc none /proc\n"
	"/bin/busybox --install -s /bin\n"
	"export PATH=/bin HOME=/root TERM=linux PS1='guest:\\w# '\n"
	"mount -t sysfs none /sys\n"
	"mount -t devtmpfs none /dev\n"
	"cd /root\n"
	"echo 'This is a BusyBox shell in the guest. \"exit\" powers off.'\n"
	"setsid cttyhack sh\n"
	"poweroff -f\n";

static const char * const directories[] = {
	"bin", "dev", "etc", "mnt", "proc", "root", "sys", "tmp",
};

/* Appends bytes, and zeros up to a multiple of four. */
static int add_bytes(struct initramfs *fs, const void *bytes, size_t n)
{
	size_t end = (fs->len + n + 3) & ~(size_t)3;

	if (end > fs->room) {
		size_t room = end + end / 2;
		uint8_t *data = realloc(fs->data, room);

		if (!data) {
			say("out of memory");
			return -1;
		}
		fs->data = data;
		fs->room = room;
	}
	if (n)
		memcpy(fs->data + fs->len, bytes, n);
	memset(fs->data + fs->len + n, 0, end - fs->len - n);
	fs->len = end;
	return 0;
}

/* Appends an entry; @dev is the number of a device file. */
static int add_entry(struct initramfs *fs, const char *name, mode_t mode,
		     dev_t dev, const void *data, size_t size)
{
	char head[256];
	int n;

	/* Inode 0 and link count 1: no entry is a link to another one. */
	n = snprintf(head, sizeof(head),
		     "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s",
		     0, mode, 0, 0, 1, 0, (unsigned int)size, 0, 0,
		     major(dev), minor(dev), (unsigned int)strlen(name) + 1, 0,
		     name);
	return add_bytes(fs, head, n + 1) || add_bytes(fs, data, size) ? -1 : 0;
}

/* Reads a file. Returns NULL with errno set. */
static uint8_t *read_file(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *data = NULL;
	struct stat st;
	size_t done = 0;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		errno = EINVAL;
		goto out;
	}
	*size = st.st_size;
	data = malloc(*size + 1);
	while (data && done < *size) {
		ssize_t n = read(fd, data + done, *size - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			errno = n ? errno : EIO;
			free(data);
			data = NULL;
			break;
		}
		done += n;
	}
out:
	close(fd);
	return data;
}

/* Whether a file is an executable for x86-64 that needs no shared objects. */
static bool is_static(const uint8_t *data, size_t size)
{
	static const uint8_t ident[] = { 0x7f, 'E', 'L', 'F', ELFCLASS64 };
	Elf64_Phdr segment;
	Elf64_Ehdr head;

	if (size < sizeof(head))
		return false;
	memcpy(&head, data, sizeof(head));
	if (memcmp(head.e_ident, ident, sizeof(ident)) ||
	    head.e_machine != EM_X86_64 || head.e_phoff > size ||
	    (size - head.e_phoff) / sizeof(segment) < head.e_phnum)
		return false;
	for (unsigned int i = 0; i < head.e_phnum; i++) {
		memcpy(&segment, data + head.e_phoff + i * sizeof(segment),
		       sizeof(segment));
		if (segment.p_type == PT_INTERP)
			return false;
	}
	return true;
}

/* Adds a program if it is static. Returns whether it is. */
static bool add_program(struct initramfs *fs, const char *path, const char *name,
			int *err)
{
	size_t size;
	uint8_t *data = read_file(path, &size);
	bool fits = data && is_static(data, size);

	if (fits)
		*err = add_entry(fs, name, S_IFREG | 0755, 0, data, size);
	free(data);
	return fits;
}

static int add_busybox(struct initramfs *fs)
{
	const char *chosen = getenv("DROSTECTL_BUSYBOX");
	const char *const places[] = {
		"/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static",
		"/usr/bin/busybox-static", "/sbin/busybox",
	};
	int err = 0;

	if (chosen) {
		if (add_program(fs, chosen, "bin/busybox", &err))
			return err;
		say("--initrd auto: %s (DROSTECTL_BUSYBOX) is not a static executable for x86-64; install the package busybox-static",
		    chosen);
		return -1;
	}
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (add_program(fs, places[i], "bin/busybox", &err))
			return err;
	say("--initrd auto: there is no static BusyBox in /bin or /usr/bin: install the package busybox-static, or set DROSTECTL_BUSYBOX to its path");
	return -1;
}

static int build(struct initramfs *fs)
{
	int err = 0;

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (add_entry(fs, directories[i], S_IFDIR | 0755, 0, NULL, 0))
			return -1;
	/* The kernel opens it for /init before /init mounts anything. */
	if (add_entry(fs, "dev/console", S_IFCHR | 0600, makedev(5, 1), NULL, 0) ||
	    add_entry(fs, "init", S_IFREG | 0755, 0, init_script,
		      sizeof(init_script) - 1) ||
	    add_busybox(fs))
		return -1;
	/* This program is static too, unless it is the one of the tests. */
	add_program(fs, "/proc/self/exe", "bin/drostectl", &err);
	return err || add_entry(fs, TRAILER, 0, 0, NULL, 0) ? -1 : 0;
}

int initramfs_build(struct initramfs *fs)
{
	if (!build(fs))
		return 0;
	initramfs_free(fs);
	return -1;
}

void initramfs_free(struct initramfs *fs)
{
	free(fs->data);
	memset(fs, 0, sizeof(*fs));
}
