// SPDX-License-Identifier: GPL-2.0
/*
 * Loads a bzImage for the 64-bit boot protocol; section and field names are
 * those of Documentation/arch/x86/boot.rst and zero-page.rst.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"
#include "linux.h"
#include "say.h"

#define SECTOR		512
#define BOOT_FLAG	0xaa55
#define HEADER_MAGIC	0x53726448	/* "HdrS" */
#define PROTOCOL_64	0x020c		/* first version with xloadflags */
#define LOADER_UNKNOWN	0xff
#define VIDEO_NORMAL	0xffff
#define ENTRY_64	0x200		/* offset of the 64-bit entry in the kernel */

#define E820_RAM	1
#define E820_RESERVED	2

#define PAGE		4096ULL
#define PAGE_2M		0x200000ULL
#define PTE_PRESENT	(1ULL << 0)
#define PTE_WRITABLE	(1ULL << 1)
#define PTE_LARGE	(1ULL << 7)

/* An image that is open for reading. */
struct file {
	const char *name;
	int fd;
	uint64_t size;
};

static int file_open(struct file *f, const char *name)
{
	struct stat st;

	f->name = name;
	f->fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0) {
		say("cannot open %s: %s", name, strerror(errno));
		return -1;
	}
	if (fstat(f->fd, &st) || !S_ISREG(st.st_mode)) {
		say("%s is not a regular file", name);
		close(f->fd);
		return -1;
	}
	f->size = st.st_size;
	return 0;
}

static int file_read(const struct file *f, uint64_t offset, void *buf,
		     uint64_t len)
{
	uint8_t *p = buf;

	while (len) {
		ssize_t n = pread(f->fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			say("cannot read %s: %s", f->name,
			    n < 0 ? strerror(errno) : "unexpected end of file");
			return -1;
		}
		p += n;
		offset += n;
		len -= n;
	}
	return 0;
}

/*
 * Reads the setup header and checks that the kernel has a 64-bit entry point.
 * On success @payload is the offset of the part that runs in protected mode.
 */
static int read_header(const struct file *f, struct setup_header *hdr,
		       uint64_t *payload)
{
	const uint64_t at = offsetof(struct boot_params, hdr);
	uint8_t jump_len;
	size_t hdr_len;

	memset(hdr, 0, sizeof(*hdr));
	if (f->size < at + sizeof(*hdr)) {
		say("%s is not a Linux kernel: it is too short", f->name);
		return -1;
	}
	if (file_read(f, at, hdr, sizeof(*hdr)))
		return -1;
	if (hdr->boot_flag != BOOT_FLAG || hdr->header != HEADER_MAGIC) {
		say("%s is not a Linux kernel (bzImage): it has no boot header",
		    f->name);
		return -1;
	}
	if (hdr->version < PROTOCOL_64 || !(hdr->xloadflags & XLF_KERNEL_64) ||
	    !(hdr->loadflags & LOADED_HIGH)) {
		say("%s has no 64-bit entry point", f->name);
		return -1;
	}
	/* The header ends at 0x202 plus the byte at 0x201, the jump's offset. */
	jump_len = hdr->jump >> 8;
	hdr_len = offsetof(struct setup_header, header) + jump_len;
	if (hdr_len < sizeof(*hdr))
		memset((uint8_t *)hdr + hdr_len, 0, sizeof(*hdr) - hdr_len);

	if (hdr->syssize * 16ULL <= ENTRY_64) {
		say("%s is not a Linux kernel: nothing follows its header",
		    f->name);
		return -1;
	}
	*payload = ((hdr->setup_sects ? hdr->setup_sects : 4) + 1ULL) * SECTOR;
	if (f->size <= *payload ||
	    f->size - *payload < hdr->syssize * 16ULL) {
		say("%s is truncated: its header declares %llu bytes, the file has %llu",
		    f->name,
		    (unsigned long long)(*payload + hdr->syssize * 16ULL),
		    (unsigned long long)f->size);
		return -1;
	}
	return 0;
}

/* Bytes in MiB, rounded up. */
static unsigned long long mib(uint64_t bytes)
{
	return (bytes >> 20) + !!(bytes & ((1 << 20) - 1));
}

static int load_kernel(struct guest_mem *mem, const struct file *f,
		       struct setup_header *hdr)
{
	uint64_t payload, len, need;
	uint64_t base;

	if (read_header(f, hdr, &payload))
		return -1;
	base = hdr->pref_address;
	len = hdr->syssize * 16ULL;
	/* The kernel unpacks itself in place and needs init_size bytes for that. */
	need = hdr->init_size > len ? hdr->init_size : len;
	if (base < GPA_HIGH || base >= GPA_HOLE || need > GPA_HOLE - base) {
		say("%s cannot be loaded: it needs %llu MiB of memory at address 0x%llx, where no guest has them",
		    f->name, mib(need), (unsigned long long)base);
		return -1;
	}
	if (base + need > mem_low_end(mem)) {
		say("%s needs %llu MiB of memory at %llu MiB: use --memory %llu or more",
		    f->name, mib(need), (unsigned long long)base >> 20,
		    mib(base + need));
		return -1;
	}
	hdr->code32_start = base;
	hdr->type_of_loader = LOADER_UNKNOWN;
	hdr->vid_mode = VIDEO_NORMAL;
	return file_read(f, payload, mem_at(mem, base, len), len);
}

/* Explains that there is no room for an initial RAM disk between two addresses. */
static void no_room(const char *name, uint64_t size, uint64_t start, uint64_t limit)
{
	uint64_t end = start + ((size + PAGE - 1) & ~(PAGE - 1));

	if (size > GPA_HOLE || end > limit)
		say("%s is too large: it has %llu MiB, and the kernel takes at most %llu MiB",
		    name, mib(size), limit > start ? (unsigned long long)(limit - start) >> 20 : 0);
	else
		say("%s, of %llu MiB, does not fit after the kernel, which ends at %llu MiB: use --memory %llu or more",
		    name, mib(size), mib(start), mib(end));
}

/*
 * Places the initial RAM disk as high as the kernel and the memory allow.
 * Returns where it goes, or NULL after printing an error message.
 */
static void *place_initrd(struct guest_mem *mem, const char *name, uint64_t size,
			  struct setup_header *hdr)
{
	uint64_t kernel_end = hdr->code32_start + (uint64_t)hdr->init_size;
	uint64_t limit = GPA_HOLE, top, base;

	if (hdr->initrd_addr_max && limit > hdr->initrd_addr_max + 1ULL)
		limit = hdr->initrd_addr_max + 1ULL;
	top = limit < mem_low_end(mem) ? limit : mem_low_end(mem);
	base = size <= top ? (top - size) & ~(PAGE - 1) : 0;
	if (base < kernel_end) {
		no_room(name, size, kernel_end, limit);
		return NULL;
	}
	hdr->ramdisk_image = base;
	hdr->ramdisk_size = size;
	return mem_at(mem, base, size);
}

static int load_initrd(struct guest_mem *mem, const struct linux_image *image,
		       struct setup_header *hdr)
{
	struct file f;
	void *to;
	int ret;

	if (image->disk) {
		to = place_initrd(mem, image->initrd, image->disk_size, hdr);
		if (!to)
			return -1;
		memcpy(to, image->disk, image->disk_size);
		return 0;
	}
	if (!image->initrd)
		return 0;
	if (file_open(&f, image->initrd))
		return -1;
	to = place_initrd(mem, image->initrd, f.size, hdr);
	ret = to ? file_read(&f, 0, to, f.size) : -1;
	close(f.fd);
	return ret;
}

static int load_cmdline(struct guest_mem *mem, const char *cmdline,
			struct setup_header *hdr)
{
	uint64_t room = GPA_CMDLINE_END - GPA_CMDLINE - 1;
	size_t len = strlen(cmdline);

	if (room > hdr->cmdline_size)
		room = hdr->cmdline_size;
	if (len > room) {
		say("the kernel command line has %zu characters, but the kernel accepts %llu: shorten --append",
		    len, (unsigned long long)room);
		return -1;
	}
	memcpy(mem_at(mem, GPA_CMDLINE, len + 1), cmdline, len + 1);
	hdr->cmd_line_ptr = GPA_CMDLINE;
	return 0;
}

static void add_e820(struct boot_params *bp, uint64_t from, uint64_t to,
		     uint32_t type)
{
	bp->e820_table[bp->e820_entries++] = (struct boot_e820_entry){
		.addr = from, .size = to - from, .type = type,
	};
}

static void write_zero_page(struct guest_mem *mem,
			    const struct setup_header *hdr, uint64_t rsdp)
{
	struct boot_params *bp = mem_at(mem, GPA_ZERO_PAGE, sizeof(*bp));

	memset(bp, 0, sizeof(*bp));
	bp->hdr = *hdr;
	bp->acpi_rsdp_addr = rsdp;
	add_e820(bp, 0, GPA_LOW_END, E820_RAM);
	add_e820(bp, GPA_BIOS, GPA_HIGH, E820_RESERVED);
	add_e820(bp, GPA_HIGH, mem_low_end(mem), E820_RAM);
	for (unsigned int i = 1; i < mem->nr; i++)
		add_e820(bp, mem->region[i].gpa,
			 mem->region[i].gpa + mem->region[i].size, E820_RAM);
}

/* Flat code and data segments at the selectors that the protocol names. */
static void write_gdt(struct guest_mem *mem)
{
	static const uint64_t gdt[] = {
		0, 0,
		0x00af9b000000ffffULL,	/* 0x10: 64-bit code */
		0x00cf93000000ffffULL,	/* 0x18: data */
	};

	memcpy(mem_at(mem, GPA_GDT, sizeof(gdt)), gdt, sizeof(gdt));
}

/* Maps the first 4 GiB to themselves with 2 MiB pages. */
static void write_page_tables(struct guest_mem *mem)
{
	uint64_t *pml4 = mem_at(mem, GPA_PML4, PAGE);
	uint64_t *pdpt = mem_at(mem, GPA_PDPT, PAGE);
	uint64_t *pd = mem_at(mem, GPA_PD, 4 * PAGE);

	memset(pml4, 0, PAGE);
	memset(pdpt, 0, PAGE);
	pml4[0] = GPA_PDPT | PTE_PRESENT | PTE_WRITABLE;
	for (unsigned int i = 0; i < 4; i++)
		pdpt[i] = (GPA_PD + i * PAGE) | PTE_PRESENT | PTE_WRITABLE;
	for (unsigned int i = 0; i < 4 * 512; i++)
		pd[i] = i * PAGE_2M | PTE_PRESENT | PTE_WRITABLE | PTE_LARGE;
}

uint64_t linux_load(struct guest_mem *mem, const struct linux_image *image)
{
	struct setup_header hdr;
	struct file f;
	int ret;

	/* Everything except the kernel and the initial RAM disk lies below 1 MiB. */
	if (!mem_at(mem, 0, GPA_HIGH)) {
		say("a guest needs more than 1 MiB of memory: use --memory 2 or more");
		return 0;
	}
	if (file_open(&f, image->kernel))
		return 0;
	ret = load_kernel(mem, &f, &hdr);
	close(f.fd);
	if (ret || load_initrd(mem, image, &hdr) ||
	    load_cmdline(mem, image->cmdline, &hdr))
		return 0;

	write_zero_page(mem, &hdr, image->rsdp);
	write_gdt(mem);
	write_page_tables(mem);
	return hdr.code32_start + ENTRY_64;
}
