// SPDX-License-Identifier: GPL-2.0
/* The dirty log: what guests, their guests and L0 write, taken and cleared in every way. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "vm.h"
#include "vmx.h"

#define AT	0x20000000ul	/* where the logged slot goes */
#define PAGES	1024ul
#define SLOT	1
#define WORDS	(PAGES / 64)
#define NONE	~0ul		/* the end of a list of frames */
#define FRAMES(...)	((u64[]) { NONE, ##__VA_ARGS__, NONE } + 1)

/* --- the guest writes, or reads, one frame after the other and says so --- */

static volatile u64 frames[16], reads;

static void guest_toucher(void)
{
	u64 i;

	for (;;) {
		for (i = 0; frames[i] != NONE; i++) {
			volatile u64 *p = (u64 *)(AT + frames[i] * 4096 + i * 8);

			if (reads)
				(void)*p;
			else
				++*p;
		}
		g_sync(1);
	}
}

static void touch(struct vcpu *vcpu, bool read, const u64 *list)
{
	u64 i = 0;

	do
		GUEST(vcpu->vm, frames[i]) = list[i];
	while (list[i++] != NONE);
	GUEST(vcpu->vm, reads) = read;
	vcpu_run_to_sync(vcpu, 1);
}

#define WRITE(...) touch(vcpu, false, FRAMES(__VA_ARGS__))
#define READ(...) touch(vcpu, true, FRAMES(__VA_ARGS__))

/* --- the log --- */

static u64 *memory(void)
{
	u8 *p = mmap(NULL, PAGES * 4096 + 0x200000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	/* Huge pages, where the host has them, are what logging has to take apart. */
	return (u64 *)(((u64)p + 0x1fffff) & ~0x1ffffful);
}

static void check_log(struct vm *vm, int line, const u64 *list)
{
	u64 got[WORDS], want[WORDS] = { 0 }, i;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = got };

	memset(got, 0xee, sizeof(got));
	for (i = 0; list[i] != NONE; i++)
		want[list[i] / 64] |= BIT(list[i] % 64);
	DO(vm->fd, KVM_GET_DIRTY_LOG, &log);
	for (i = 0; i < WORDS; i++)
		if (got[i] != want[i])
			ksft_fail(__FILE__, line, "frames from %llu: log %#llx, expected %#llx", (long long)i * 64,
				  (long long)got[i], (long long)want[i]);
}

#define LOG(...) check_log(&vm, __LINE__, FRAMES(__VA_ARGS__))

static void host_written(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 *mem = memory();

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	LOG();
	WRITE(0, 1, 511, 512, 1023);
	READ(700, 2);
	LOG(0, 1, 511, 512, 1023);
	LOG();
	EQ(mem[511 * 512 + 2], 1, "what was written is there");
	WRITE(1);
	READ(0, 511);
	LOG(1);
	/* A large mapping made for a read is no excuse. */
	madvise(mem, PAGES * 4096, MADV_DONTNEED);
	READ(100);
	WRITE(101, 102);
	LOG(101, 102);
	vm_destroy(&vm);
}

static void host_switched(void)
{
	u64 bits[WORDS];
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct vm vm;
	struct vcpu *vcpu;
	u64 *mem = memory();

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT);
	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT);
	WRITE(5, 6, 600);
	/* On: what is mapped already is logged from now on. */
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	LOG();
	WRITE(5, 7);
	LOG(5, 7);
	WRITE(600);
	/* Off and on: what was not taken is gone. */
	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT);
	WRITE(8);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	WRITE(9);
	LOG(9);
	/* A slot that moves takes its log along. */
	WRITE(10);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT + 0x1000000, PAGES * 4096, mem);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	LOG(10);
	log.slot = 1 << 16 | SLOT;
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, EINVAL);
	log.slot = SLOT;
	log.dirty_bitmap = (void *)8;
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, EFAULT);
	vm_slot(&vm, SLOT, 0, AT, 0, NULL);
	log.dirty_bitmap = bits;
	FAILS(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT);
	vm_destroy(&vm);
}

/* --- user space clears --- */

static int try_clear(struct vm *vm, u64 first, u32 n, u64 *bits)
{
	struct kvm_clear_dirty_log c = { .slot = SLOT, .first_page = first, .num_pages = n, .dirty_bitmap = bits };

	return ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &c) ? -errno : 0;
}

static void enable_manual(struct vm *vm, u64 bits)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = { bits } };

	DO(vm->fd, KVM_ENABLE_CAP, &cap);
}

static void host_cleared(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 };
	u64 bits[WORDS] = { 0 };
	struct vm vm;
	struct vcpu *vcpu;

	vm_create(&vm, 0);
	EQ(ioctl(vm.fd, KVM_CHECK_EXTENSION, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2), 3, "capability");
	cap.args[0] = 4;
	FAILS(vm.fd, KVM_ENABLE_CAP, &cap, EINVAL);
	cap.args[0] = 2;
	FAILS(vm.fd, KVM_ENABLE_CAP, &cap, EINVAL);
	enable_manual(&vm, 1);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	WRITE(3, 4, 70, 1000);
	LOG(3, 4, 70, 1000);
	LOG(3, 4, 70, 1000);
	/* Bit 5 was not set; bit 4 is not asked for. */
	bits[0] = BIT(3) | BIT(5);
	EQ(try_clear(&vm, 0, 64, bits), 0, "clear");
	LOG(4, 70, 1000);
	WRITE(3);
	LOG(3, 4, 70, 1000);
	bits[0] = ~0ul;
	EQ(try_clear(&vm, 960, 64, bits), 0, "clear the last word");
	LOG(3, 4, 70);
	EQ(try_clear(&vm, 1, 64, bits), -EINVAL, "first page in the middle of a word");
	EQ(try_clear(&vm, 0, 63, bits), -EINVAL, "a part of a word that is not the last");
	EQ(try_clear(&vm, 0, PAGES + 64, bits), -EINVAL, "beyond the slot");
	EQ(try_clear(&vm, PAGES + 64, 64, bits), -EINVAL, "behind the slot");
	EQ(try_clear(&vm, 0, 64, (void *)8), -EFAULT, "a bad pointer");
	LOG(3, 4, 70);
	vm_destroy(&vm);
}

static void host_all_set(void)
{
	u64 bits[WORDS], i;
	struct kvm_dirty_log log = { .slot = SLOT, .dirty_bitmap = bits };
	struct vm vm;
	struct vcpu *vcpu;
	u64 *mem = memory();

	vm_create(&vm, 0);
	enable_manual(&vm, 3);
	vcpu = vcpu_create(&vm, 0, guest_toucher);
	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	WRITE(9, 10);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	DO(vm.fd, KVM_GET_DIRTY_LOG, &log);
	for (i = 0; i < WORDS; i++)
		EQ(bits[i], ~0ul, "all frames are marked");
	EQ(try_clear(&vm, 0, PAGES, bits), 0, "clear");
	LOG();
	WRITE(9, 512);
	LOG(9, 512);
	vm_destroy(&vm);
}

/* --- who else writes --- */

static void guest_input(void)
{
	u64 to = AT + 33 * 4096 + 4090, n = 12;

	/* Across a page: L0 writes what user space answers. */
	asm volatile("rep insb" : "+D" (to), "+c" (n) : "d" (0x77) : "memory");
	g_sync(2);
}

static void host_input(void)
{
	struct vm vm;
	struct vcpu *vcpu;
	u64 args[4];

	vm_create(&vm, 0);
	vcpu = vcpu_create(&vm, 0, guest_input);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, memory());
	while (vcpu_run_to_call(vcpu, args) == GCALL_NONE)
		MUST(vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == 0x77, "exit");
	LOG(33, 34);
	vm_destroy(&vm);
}

#define CODE(name, text) \
extern char name[]; \
asm(".pushsection .text\n.globl " #name "\n" #name ":\n" text "\n\tvmcall\n.popsection\n")
CODE(c_write, "incq (%rbx)");
CODE(c_read, "mov (%rbx), %rax");

/* L2 writes the frames; the VMCS and all else of L1 is in slot 0. */
static void guest_l1(void)
{
	u64 i;

	vmcs_new((void (*)(void))(u64)c_write);
	if (g_arg())
		ept_use(ept_new());
	for (;;) {
		for (i = 0; frames[i] != NONE; i++) {
			vmwrite(F_RIP, (u64)(reads ? c_read : c_write));
			l2.rbx = AT + frames[i] * 4096;
			vmx_expect(R_VMCALL, "L2");
		}
		g_sync(1);
	}
}

static void nested_log(u64 ept)
{
	extern u64 guest_arg;
	struct vm vm;
	struct vcpu *vcpu;
	u64 *mem = memory();

	guest_arg = ept;
	vm_create(&vm, 0);
	if (!vm_has_vmx(&vm))
		ksft_skip("no VMX");
	vcpu = vcpu_create(&vm, 0, guest_l1);
	vm_slot(&vm, SLOT, 0, AT, PAGES * 4096, mem);
	WRITE(20, 21, 700);
	vm_slot(&vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, AT, PAGES * 4096, mem);
	LOG();
	READ(20, 30);
	LOG();
	WRITE(20, 22);
	LOG(20, 22);
	WRITE(20, 700);
	READ(21);
	LOG(20, 700);
	LOG();
	EQ(mem[20 * 512], 3, "what was written is there");
	vm_destroy(&vm);
}

static void host_l2_ept(void)
{
	nested_log(1);
}

static void host_l2_no_ept(void)
{
	nested_log(0);
}

static const struct ksft_test tests[] = {
	{ "what a guest writes", .host = host_written },
	{ "logging switched on and off", .host = host_switched },
	{ "user space clears", .host = host_cleared },
	{ "all marked from the start", .host = host_all_set },
	{ "what L0 writes", .host = host_input },
	{ "what L2 writes, with EPT", .host = host_l2_ept },
	{ "what L2 writes, without EPT", .host = host_l2_no_ept },
};
KSFT_MAIN(tests)
