// SPDX-License-Identifier: GPL-2.0
/* Checks the bzImage loader with generated images, valid and damaged. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bzimage.h"
#include "layout.h"
#include "linux.h"
#include "tap.h"

static struct guest_mem mem;
static char dir[sizeof("/tmp/linux_test.XXXXXX")] = "/tmp/linux_test.XXXXXX";
static char kernel[64], initrd[64];

/* The image, which each test damages in its own way. */
static struct {
	uint8_t bytes[BZIMAGE_SIZE + 100];
	size_t size;
} img;

static struct setup_header *header(void)
{
	return bzimage_header(img.bytes);
}

static void fresh(void)
{
	memset(&img, 0, sizeof(img));
	img.size = BZIMAGE_SIZE;
	bzimage_make(img.bytes);
}

static uint64_t load(const char *cmdline, const char *with_initrd)
{
	const struct linux_image image = {
		.kernel = kernel, .initrd = with_initrd, .cmdline = cmdline,
		.rsdp = GPA_BIOS,
	};

	write_file(kernel, img.bytes, img.size);
	return linux_load(&mem, &image);
}

static void check_good(void)
{
	struct boot_params *bp = mem_at(&mem, GPA_ZERO_PAGE, sizeof(*bp));
	const uint64_t *pd = mem_at(&mem, GPA_PD, 4 * 4096);
	uint8_t disk[5000];

	memset(disk, 0x5a, sizeof(disk));
	write_file(initrd, disk, sizeof(disk));
	fresh();
	ok(load("console=ttyS0 x", initrd) == 2 * MIB + 0x200);
	ok(!memcmp(mem_at(&mem, 2 * MIB, PAYLOAD_SIZE), img.bytes + SETUP_SIZE,
		   PAYLOAD_SIZE));
	ok(bp->hdr.type_of_loader == 0xff && bp->sentinel == 0);
	ok(bp->acpi_rsdp_addr == GPA_BIOS);
	ok(!strcmp(mem_at(&mem, bp->hdr.cmd_line_ptr, 16), "console=ttyS0 x"));
	ok(bp->hdr.ramdisk_size == sizeof(disk));
	ok(bp->hdr.ramdisk_image == 16 * MIB - 8192);
	ok(!memcmp(mem_at(&mem, bp->hdr.ramdisk_image, sizeof(disk)), disk,
		   sizeof(disk)));
	ok(bp->e820_entries == 3 && bp->e820_table[2].addr == GPA_HIGH &&
	   bp->e820_table[2].size == 15 * MIB);
	ok(pd[0] == 0x83 && pd[2047] == (0xffe00000 | 0x83));
	/* Code may follow a short header and must not be taken for part of it. */
	fresh();
	header()->jump = 0x5eeb;
	ok(load("", NULL) && bp->hdr.init_size == 0 &&
	   bp->hdr.kernel_info_offset == 0);
}

static void check_bad_images(void)
{
	fresh();
	header()->boot_flag = 0;
	ok(!load("", NULL));
	fresh();
	header()->header++;
	ok(!load("", NULL));
	fresh();
	header()->xloadflags = 0;
	ok(!load("", NULL));
	fresh();
	header()->version = 0x020b;
	ok(!load("", NULL));
	fresh();
	img.size = 600;			/* ends within the header */
	ok(!load("", NULL));
	img.size = 0;
	ok(!load("", NULL));
	fresh();
	img.size -= 1;			/* ends within the kernel */
	ok(!load("", NULL));
	fresh();
	header()->syssize = 0xffffffff;
	ok(!load("", NULL));
	fresh();
	header()->syssize = 0;		/* no room for the entry point */
	ok(!load("", NULL));
	fresh();
	header()->setup_sects = 255;
	ok(!load("", NULL));
	fresh();
	header()->pref_address = 0x1000;	/* overlaps the zero page */
	ok(!load("", NULL));
	fresh();
	header()->pref_address = -4096ULL;
	ok(!load("", NULL));
	fresh();
	header()->init_size = 0xffffffff;
	ok(!load("", NULL));
}

static void check_bad_company(void)
{
	char longer[1100];
	const struct linux_image absent = { .kernel = "/nonexistent" };

	ok(!linux_load(&mem, &absent));
	memset(longer, 'x', sizeof(longer));
	longer[1023] = '\0';
	fresh();
	ok(load(longer, NULL));
	longer[1023] = 'x';
	longer[1024] = '\0';
	ok(!load(longer, NULL));
	ok(!load("", "/nonexistent"));
	ok(!load("", "/dev/null"));
	ok(!load("", dir));
	truncate(initrd, 11 * MIB);	/* overlaps the kernel */
	ok(!load("", initrd));
	truncate(initrd, 100 * MIB);
	ok(!load("", initrd));
	truncate(initrd, 10 * MIB);	/* exactly fits */
	ok(load("", initrd));
	header()->initrd_addr_max = 12 * MIB - 1;
	ok(!load("", initrd));
}

/* Checks a guest whose memory is split around the hole below 4 GiB. */
static void check_split(void)
{
	struct guest_mem big;

	if (mem_init(&big, GPA_HOLE + MIB))
		abort();
	ok(big.nr == 2 && mem_low_end(&big) == GPA_HOLE);
	ok(big.region[1].gpa == GPA_4G && big.region[1].size == MIB);
	ok(mem_at(&big, GPA_HOLE - 1, 1) && !mem_at(&big, GPA_HOLE - 1, 2));
	ok(!mem_at(&big, GPA_HOLE, 1) && mem_at(&big, GPA_4G, MIB));
	ok(!mem_at(&big, 0, UINT64_MAX) && !mem_at(&big, UINT64_MAX, 2));
	mem_free(&big);
}

int main(void)
{
	if (!mkdtemp(dir) || mem_init(&mem, 16 * MIB))
		return 1;
	snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	snprintf(initrd, sizeof(initrd), "%s/initrd", dir);
	check_good();
	check_bad_images();
	check_bad_company();
	check_split();
	unlink(kernel);
	unlink(initrd);
	rmdir(dir);
	return tap_done();
}
