// SPDX-License-Identifier: GPL-2.0
/* Checks the hint for a guest without a root file system, and the archive of --initrd auto. */
#include <elf.h>

#include "initramfs.h"
#include "rootless.h"
#include "spawn.h"
#include "tap.h"

#define HINT	"the guest has no root file system"

static struct child c;

/* Whether a text, fed byte by byte, calls for the hint. */
static int hints(const char *text)
{
	struct rootless r = { .found = false };
	int n = 0;

	while (*text)
		n += rootless_byte(&r, *text++);
	return n;
}

static void check_scan(void)
{
	static const char root[] = "VFS: Unable to mount root fs on unknown-block(0,0)\r\n";
	static const char end[] = "[    1.0] ---[ end Kernel panic - not syncing: VFS ]---\r\n";
	char both[512];

	ok(hints(root) == 0);
	ok(hints(end) == 0);
	snprintf(both, sizeof(both), "%s[[ %s%s%s", root, end, end, root);
	ok(hints(both) == 1);
	snprintf(both, sizeof(both), "UnUnable to mount root fs\n%s", end);
	ok(hints(both) == 1);
	snprintf(both, sizeof(both), "Unable to mount root XX\n%s", end);
	ok(hints(both) == 0);
}

static void check_hint(void)
{
	char *const argv[] = {
		stub, "run", "--device", "/dev/null", "--kernel", kernel, NULL
	};

	start(&c, "rootless", true, TO_TERMINAL, NULL, argv);
	ok(tells(&c, HINT) && tells(&c, "--initrd auto"));
	type(&c, "\001x");
	ok(status_of(&c) == 7);
	finish(&c);
	ok(times_told(&c, HINT) == 1);

	ok(run_to_end(&c, "rootless-reset", TO_PIPE, argv) == 3);
	ok(times_told(&c, HINT) == 1);
}

/* An entry of an archive in the newc format of cpio(5). */
struct entry {
	unsigned int mode, size, major, minor;
	const char *name;
	const uint8_t *data;
};

static unsigned int field(const uint8_t *header, int n)
{
	char hex[9] = { 0 };

	memcpy(hex, header + 6 + 8 * n, 8);
	return strtoul(hex, NULL, 16);
}

/* Finds an entry by name. Returns whether the archive is well formed up to it. */
static bool find(const struct initramfs *fs, const char *name, struct entry *e)
{
	size_t at = 0;

	while (at + 110 < fs->len && !memcmp(fs->data + at, "070701", 6)) {
		const uint8_t *h = fs->data + at;
		size_t data = (at + 110 + field(h, 11) + 3) & ~3UL;

		*e = (struct entry){
			.mode = field(h, 1), .size = field(h, 6),
			.major = field(h, 9), .minor = field(h, 10),
			.name = (const char *)h + 110, .data = fs->data + data,
		};
		if (strlen(e->name) + 1 != field(h, 11) || data + e->size > fs->len)
			return false;
		if (!strcmp(e->name, name))
			return true;
		at = (data + e->size + 3) & ~3UL;
	}
	return false;
}

/* Writes an ELF file with one program header of a type. */
static void write_elf(const char *name, uint32_t type, uint16_t machine)
{
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr segment;
	} elf = {
		.head = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC, .e_machine = machine,
			.e_phoff = sizeof(Elf64_Ehdr), .e_phnum = 1,
			.e_phentsize = sizeof(Elf64_Phdr),
		},
		.segment = { .p_type = type },
	};

	write_file(name, &elf, sizeof(elf));
}

static void check_archive(void)
{
	struct initramfs fs = { .data = NULL };
	char busybox[64];
	struct entry e;

	snprintf(busybox, sizeof(busybox), "%s/busybox", work);
	setenv("DROSTECTL_BUSYBOX", busybox, 1);
	ok(initramfs_build(&fs));			/* there is none */
	write_file(busybox, "#!/bin/sh\n", 10);
	ok(initramfs_build(&fs));			/* not an executable for this machine */
	write_elf(busybox, PT_INTERP, EM_X86_64);
	ok(initramfs_build(&fs));			/* not static */
	write_elf(busybox, PT_LOAD, EM_AARCH64);
	ok(initramfs_build(&fs));
	write_elf(busybox, PT_LOAD, EM_X86_64);
	ok(!initramfs_build(&fs));
	ok(find(&fs, "bin/busybox", &e) && e.mode == 0100755 &&
	   e.size == sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) &&
	   !memcmp(e.data, "\177ELF", 4));
	ok(find(&fs, "init", &e) && e.mode == 0100755 &&
	   !memcmp(e.data, "#!/bin/busybox sh\n", 18));
	ok(find(&fs, "dev/console", &e) && e.mode == 0020600 && e.major == 5 && e.minor == 1);
	ok(find(&fs, "proc", &e) && e.mode == 0040755 && !e.size);
	ok(find(&fs, "TRAILER!!!", &e) && !e.size);
	ok(fs.len % 4 == 0);
	initramfs_free(&fs);
	unlink(busybox);
}

static void check_auto(void)
{
	char *const argv[] = {
		stub, "run", "--device", "/dev/null", "--kernel", kernel,
		"--initrd", "auto", "--memory", "64", NULL
	};
	char busybox[64];

	snprintf(busybox, sizeof(busybox), "%s/busybox", work);
	ok(run_to_end(&c, "initrd", TO_PIPE, argv) == 2);
	ok(times_told(&c, "install the package busybox-static"));
	write_elf(busybox, PT_LOAD, EM_X86_64);
	ok(run_to_end(&c, "initrd", TO_PIPE, argv) == 0);
	ok(memmem(c.said, c.nr_said, "bytes: 070701", 13));
	unlink(busybox);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (spawn_init(argv[0]))
		return 1;
	check_scan();
	check_hint();
	check_archive();
	check_auto();
	spawn_end();
	return tap_done();
}
