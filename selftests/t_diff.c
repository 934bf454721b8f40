// SPDX-License-Identifier: GPL-2.0
/* A guest runs random instructions natively and with operands that trap to the hypervisor; the outcomes must be equal. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include "vm.h"
#include "guest.h"
#include "diff/case.h"
#include "diff/run.h"

/* Each subtest is a VM and runs its part of the cases. */
#define SUBTESTS	10
static u64 seed = 1, nr_cases = 10240, first_case;
static bool one_case;

struct run {
	struct vm vm;
	struct vcpu *vcpu;
	struct diff_shared *shared;
	struct kvm_sregs sregs;		/* state after the guest has set up */
	u64 faults, exits, failed;
};

/* --- exits --- */

static bool serve_mmio(struct run *r)
{
	struct kvm_run *run = r->vcpu->run;
	u64 gpa = run->mmio.phys_addr, base = gpa >= DIFF_ROM ? DIFF_ROM : DIFF_MMIO, at = gpa - base;
	u64 page = at >= DIFF_STRIDE, off = at - page * DIFF_STRIDE;
	u8 *mem = r->vm.mem + DIFF_TRAPPED + page * 0x1000 + off;

	if (gpa < DIFF_MMIO || page > 1 || off + run->mmio.len > 0x1000 || run->mmio.len > 8)
		return false;
	if (run->mmio.is_write)
		memcpy(mem, run->mmio.data, run->mmio.len);
	else
		memcpy(run->mmio.data, mem, run->mmio.len);
	return true;
}

/* INS gets the bytes of the source page in the order in which MOVS reads them. */
static bool serve_port(struct run *r, struct diff_case *c)
{
	struct kvm_run *run = r->vcpu->run;
	u8 *data = (u8 *)run + run->io.data_offset, *source = r->vm.mem + DIFF_SOURCE + 0x800;
	u32 size = run->io.size, i;
	bool down = c->in.rflags & BIT(10);

	if ((run->io.port != DIFF_PORT && run->io.port != DIFF_PORT8) || c->nr_port + size * run->io.count > sizeof(c->port))
		return false;
	for (i = 0; i < run->io.count; i++, data += size, c->nr_port += size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			memcpy(data, down ? source - c->nr_port : source + c->nr_port, size);
		else
			memcpy(c->port + c->nr_port, data, size);
	}
	return true;
}

static bool serve(struct run *r)
{
	struct diff_case *c = &r->shared->c[r->shared->cur];

	c->exits++;
	if (r->vcpu->run->exit_reason == KVM_EXIT_MMIO)
		return serve_mmio(r);
	/* Writes to CR8 exit to user space. */
	if (r->vcpu->run->exit_reason == KVM_EXIT_SET_TPR)
		return true;
	return r->vcpu->run->exit_reason == KVM_EXIT_IO && serve_port(r, c);
}

/* Skips a case that KVM_RUN could not finish. */
static void give_up(struct run *r)
{
	describe_exit(r->vcpu);
	MUST(r->shared->cur < r->shared->n, "the guest ended");
	r->shared->cur++;
	/* Drop the exit that user space did not answer. */
	r->vcpu->run->immediate_exit = 1;
	vcpu_run_once(r->vcpu);
	r->vcpu->run->immediate_exit = 0;
	vcpu_set_sregs(r->vcpu, &r->sregs);
	vcpu_start(r->vcpu, diff_loop, 0);
}

static void run_to_sync(struct run *r)
{
	u64 kind;

	for (;;) {
		kind = vcpu_run_to_call(r->vcpu, NULL);
		if (kind == GCALL_SYNC)
			return;
		MUST(kind == GCALL_NONE, "guest call %llu", (long long)kind);
		if (!serve(r))
			give_up(r);
	}
}

/* --- CPUID of the guest --- */

static struct kvm_cpuid2 *table;

static void read_table(struct run *r)
{
	table = supported_cpuid(r->vm.dev);	/* as many entries as the guest was given */
	DO(r->vcpu->fd, KVM_GET_CPUID2, table);
}

static bool find_leaf(u32 fn, u32 index, u32 out[4])
{
	struct kvm_cpuid_entry2 *e;
	u32 i;

	memset(out, 0, 4 * sizeof(u32));
	for (i = 0; i < table->nent; i++) {
		e = &table->entries[i];
		if (e->function != fn || ((e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) && e->index != index))
			continue;
		out[0] = e->eax;
		out[1] = e->ebx;
		out[2] = e->ecx;
		out[3] = e->edx;
		return true;
	}
	return false;
}

void diff_cpuid_pick(u64 any, u64 more, u32 *fn, u32 *index, u32 out[4])
{
	struct kvm_cpuid_entry2 *e = &table->entries[any % table->nent];
	u32 last[4];

	*fn = e->function;
	*index = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX ? e->index : (u32)more;
	/* Functions above the highest basic leaf return that leaf's values (SDM 2A, CPUID). */
	if ((any >> 32) % 5 == 0) {
		find_leaf(0, 0, last);
		*index = more & 3;
		*fn = last[0] + 1 + (any >> 40) % 1000;
		find_leaf(last[0], *index, out);
		return;
	}
	find_leaf(*fn, *index, out);
}

/* --- batches --- */

static void start(struct run *r)
{
	struct diff_features f;
	u64 i;

	memset(r, 0, sizeof(*r));
	vm_create(&r->vm, 0);
	r->shared = (void *)(r->vm.mem + DIFF_SHARED);
	vm_slot(&r->vm, 1, KVM_MEM_READONLY, DIFF_ROM, 0x1000, r->vm.mem + DIFF_TRAPPED);
	vm_slot(&r->vm, 2, KVM_MEM_READONLY, DIFF_ROM + DIFF_STRIDE, 0x1000, r->vm.mem + DIFF_TRAPPED + 0x1000);
	for (i = 0; i < 0x1000; i++)
		r->vm.mem[DIFF_SOURCE + i] = i * 7 + (i >> 8);
	r->vcpu = vcpu_create(&r->vm, 0, diff_guest);
	run_to_sync(r);
	vcpu_sregs(r->vcpu, &r->sregs);
	f = (struct diff_features) { .simd = r->shared->simd, .leaf1_ecx = r->shared->leaf1_ecx,
				    .leaf7_ebx = r->shared->leaf7_ebx, .leaf7_ecx = r->shared->leaf7_ecx,
				    .ext1_ecx = r->shared->ext1_ecx };
	diff_features(&f);
	read_table(r);
}

static void check_batch(struct run *r)
{
	struct diff_case *c;
	const char *what;
	u32 i;

	for (i = 0; i < r->shared->n; i++) {
		c = &r->shared->c[i];
		what = diff_check(c, i);
		r->faults += c->out[0].vector != 3;
		r->exits += c->exits;
		if (!what)
			continue;
		r->failed++;
		ksft_fail(__FILE__, __LINE__, "case %llu:%llu", (long long)c->seed, (long long)c->index);
		if (r->failed <= 5)
			diff_report(c, what);
	}
}

static void run_cases(u64 from, u64 n)
{
	static struct run r;
	u64 i, done, batch;

	start(&r);
	for (done = 0; done < n; done += batch) {
		batch = n - done < DIFF_BATCH ? n - done : DIFF_BATCH;
		for (i = 0; i < batch; i++)
			diff_make(&r.shared->c[i], seed, from + done + i, i);
		r.shared->n = batch;
		r.shared->cur = 0;
		run_to_sync(&r);
		check_batch(&r);
	}
	if (one_case)
		diff_report(&r.shared->c[0], "nothing more");
	ksft_diag("seed %llu, cases %llu to %llu: %llu with a fault or trap, %llu exits, %llu failed", (long long)seed,
		  (long long)from, (long long)(from + n - 1), (long long)r.faults, (long long)r.exits, (long long)r.failed);
	OK(one_case || r.exits > n / 2, "the cases trap");
	vm_destroy(&r.vm);
}

static int part;	/* number of the subtest */

static void host_cases(void)
{
	u64 n = (nr_cases + SUBTESTS - 1) / SUBTESTS;

	run_cases(first_case + part * n, n);
}

static void host_one(void)
{
	run_cases(first_case, 1);
}

#define PART(n) static void host_##n(void) { part = n; host_cases(); }
PART(0)
PART(1)
PART(2)
PART(3)
PART(4)
PART(5)
PART(6)
PART(7)
PART(8)
PART(9)

static const struct ksft_test all[] = {
	{ "cases, part 0", .host = host_0 }, { "cases, part 1", .host = host_1 }, { "cases, part 2", .host = host_2 },
	{ "cases, part 3", .host = host_3 }, { "cases, part 4", .host = host_4 }, { "cases, part 5", .host = host_5 },
	{ "cases, part 6", .host = host_6 }, { "cases, part 7", .host = host_7 }, { "cases, part 8", .host = host_8 },
	{ "cases, part 9", .host = host_9 },
};

static const struct ksft_test single[] = { { "one case", .host = host_one } };

static u64 case_seed, case_index = ~0ul;

static const struct ksft_option options[] = {
	{ "--seed", &seed, NULL, "the seed of the random cases" },
	{ "--cases", &nr_cases, NULL, "how many cases to run" },
	{ "--first", &first_case, NULL, "the index of the first case" },
	{ "--case", &case_seed, &case_index, "one case, by seed and index, with all registers before and after" },
};

int main(int argc, char **argv)
{
	if (!ksft_options(argc, argv, options, ARRAY_SIZE(options)))
		return 2;
	if (case_index == ~0ul)
		return ksft_main(all, ARRAY_SIZE(all));
	one_case = true;
	seed = case_seed;
	first_case = case_index;
	return ksft_main(single, 1);
}
