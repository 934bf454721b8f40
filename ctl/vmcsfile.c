// SPDX-License-Identifier: GPL-2.0
/* Reads a VMCS from a file: recognizes the format, and reads the binary ones. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "say.h"
#include "vmcsfile.h"

#define SIZE_MAX_READ	(64UL << 20)	/* longer files are refused */
#define NONE		(~0ULL)

void vmcs_file_set(struct vmcs_file *f, int field, uint64_t val)
{
	if (f->known[field])
		return;
	f->known[field] = true;
	vmcs12_set(&f->v, &vmcs12_fields[field], val);
}

/* A VMCS12 has all fields. */
static void take_vmcs12(struct vmcs_file *f, const void *data, size_t size)
{
	memcpy(&f->v, data, size < sizeof(f->v) ? size : sizeof(f->v));
	memset(f->known, true, sizeof(f->known));
}

/* Droste's fields follow KVM's in the same layout. */
static bool is_vmcs12(const char *data)
{
	uint32_t revision;

	memcpy(&revision, data, sizeof(revision));
	return (revision & ~(uint32_t)VMCS12_SHADOW_BIT) == VMCS12_REVISION;
}

static int parse_state(struct vmcs_file *f, const char *name, const char *data, size_t size)
{
	const size_t page = KVM_STATE_NESTED_VMX_VMCS_SIZE;
	struct kvm_nested_state head;
	const char *vmcs = data + sizeof(head);

	memcpy(&head, data, sizeof(head));
	if (head.size < sizeof(head)) {
		say("%s: the nested state gives its size as %u bytes; its header alone has %zu",
		    name, head.size, sizeof(head));
		return -1;
	}
	if (head.size > size) {
		say("%s: the nested state has %u bytes, the file only %zu", name, head.size, size);
		return -1;
	}
	if (head.hdr.vmx.vmxon_pa == NONE || head.hdr.vmx.vmcs12_pa == NONE ||
	    head.size == sizeof(head)) {
		say("%s: the nested state has no VMCS: L1 %s", name,
		    head.hdr.vmx.vmxon_pa == NONE ? "was not in VMX operation" : "had no current VMCS");
		return -1;
	}
	if (head.size < sizeof(head) + page) {
		say("%s: the nested state has %zu bytes of the VMCS, not %zu", name,
		    head.size - sizeof(head), page);
		return -1;
	}
	if (!is_vmcs12(vmcs)) {
		say("%s: the VMCS of the nested state is not of KVM's and Droste's revision %#x",
		    name, VMCS12_REVISION);
		return -1;
	}
	f->source = VMCS_FROM_STATE;
	f->vmptr = head.hdr.vmx.vmcs12_pa;
	f->in_l2 = (head.flags & KVM_STATE_NESTED_GUEST_MODE) &&
		   !(head.flags & KVM_STATE_NESTED_RUN_PENDING);
	take_vmcs12(f, vmcs, page);
	if (head.size >= sizeof(head) + 2 * page) {
		f->has_link = true;
		memcpy(&f->link, vmcs + page, sizeof(f->link));
	}
	return 0;
}

/* The header's rules are strict enough to tell a nested state from other binary files. */
static bool is_state(const char *data, size_t size)
{
	struct kvm_nested_state head;

	if (size < sizeof(head))
		return false;
	memcpy(&head, data, sizeof(head));
	return head.format == KVM_STATE_NESTED_FORMAT_VMX && !(head.flags & 0xfee0) &&
	       (head.hdr.vmx.vmxon_pa == NONE || !(head.hdr.vmx.vmxon_pa & 0xfff)) &&
	       (head.hdr.vmx.vmcs12_pa == NONE || !(head.hdr.vmx.vmcs12_pa & 0xfff));
}

int vmcs_file_parse(struct vmcs_file *f, const char *name, char *data,
		    size_t size, int dump)
{
	size_t blank = strspn(data, " \t\r\n");

	memset(f, 0, sizeof(*f));
	f->vmptr = NONE;
	if (!size) {
		say("%s: the file is empty", name);
		return -1;
	}
	if (size >= sizeof(struct vmcs12) && is_vmcs12(data)) {
		f->source = VMCS_FROM_PAGE;
		take_vmcs12(f, data, size);
		return 0;
	}
	if (memchr(data, '\0', size)) {
		if (is_state(data, size))
			return parse_state(f, name, data, size);
		/* A log may contain zero bytes; none is expected to end it. */
		for (size_t i = 0; i < size; i++)
			if (!data[i])
				data[i] = ' ';
	}
	if (data[blank] == '{')
		return vmcs_json_parse(f, name, data);
	return vmcs_dump_parse(f, name, data, dump);
}

char *vmcs_file_load(const char *name, size_t *size)
{
	int fd = strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	size_t room = 1 << 16, len = 0;
	char *data = malloc(room + 1);
	ssize_t n = 0;

	while (fd >= 0 && data) {
		n = read(fd, data + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += n;
		if (len == SIZE_MAX_READ) {
			errno = EFBIG;
			n = -1;
			break;
		}
		if (len == room) {
			char *more = realloc(data, 2 * room + 1);

			if (!more)
				n = -1;
			if (!more)
				break;
			data = more;
			room *= 2;
		}
	}
	if (fd < 0 || !data || n < 0) {
		say("cannot read %s: %s", name, strerror(errno));
		free(data);
		data = NULL;
	} else {
		data[len] = '\0';
		*size = len;
	}
	if (fd > STDERR_FILENO)
		close(fd);
	return data;
}

int vmcs_file_read(struct vmcs_file *f, const char *name, int dump)
{
	size_t size;
	char *data = vmcs_file_load(name, &size);
	int ret;

	if (!data)
		return -1;
	ret = vmcs_file_parse(f, name, data, size, dump);
	free(data);
	return ret;
}
