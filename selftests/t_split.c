// SPDX-License-Identifier: GPL-2.0
/* The split irqchip (KVM_CAP_SPLIT_IRQCHIP): EOI exits, ExtINT of user space; KVM_CAP_X2APIC_API's destinations. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "guest.h"
#include "vm.h"

#define PINS		24
#define PIN_LEVEL	4	/* GSIs with MSI routes: level-triggered and reserved, ... */
#define PIN_EDGE	5
#define GSI_LEVEL	30	/* ... or beyond the reserved ones */
#define VEC_LEVEL	0x51
#define VEC_EDGE	0x61
#define VEC_OTHER	0x71
#define VEC_PIC		0x38
#define LINT0_EXTINT	0x700
#define LVT_MASKED	0x10000

static volatile u64 count, last_vector, expected;

static void on_irq(struct trap_regs *r)
{
	count++;
	last_vector = r->vector;
	apic_eoi();
}

/* The PIC's interrupts are not in the APIC's ISR, so an EOI would end another interrupt. */
static void on_pic(struct trap_regs *r)
{
	count++;
	last_vector = r->vector;
}

static int enable_cap(int fd, u32 cap, u64 arg)
{
	struct kvm_enable_cap c = { .cap = cap, .args = { arg } };

	return ioctl(fd, KVM_ENABLE_CAP, &c);
}

#define CAP_FAILS(fd, cap, arg, err) do { \
	EQ(enable_cap(fd, cap, arg), -1, #cap " must fail"); \
	EQ(errno, err, #cap ", errno"); \
} while (0)

static struct kvm_irq_routing_entry msi_route(u32 gsi, u32 vector, bool level)
{
	return (struct kvm_irq_routing_entry) { .gsi = gsi, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = APIC_BASE, .data = vector | (level ? BIT(15) | BIT(14) : 0) } };
}

static int set_routes(struct vm *vm, const struct kvm_irq_routing_entry *e, int n)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry e[4];
	} r = { .head.nr = n };

	memcpy(r.e, e, n * sizeof(*e));
	return ioctl(vm->fd, KVM_SET_GSI_ROUTING, &r);
}

static void line(struct vm *vm, u32 gsi, int level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	DO(vm->fd, KVM_IRQ_LINE, &l);
}

static void split_vm(struct vm *vm, void (*guest)(void))
{
	vm_create(vm, 0);
	MUST(!enable_cap(vm->fd, KVM_CAP_SPLIT_IRQCHIP, PINS), "KVM_CAP_SPLIT_IRQCHIP: %s", strerror(errno));
	vcpu_create(vm, 0, guest);
}

/* --- results and errors of the ioctls --- */

static void guest_nothing(void)
{
}

static void host_api(void)
{
	struct kvm_irq_routing_entry pin = { .gsi = 1, .type = KVM_IRQ_ROUTING_IRQCHIP,
					     .u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = 1 } };
	struct kvm_enable_cap flags = { .cap = KVM_CAP_SPLIT_IRQCHIP, .flags = 1 };
	struct kvm_irqfd resample = { .gsi = 1, .flags = KVM_IRQFD_FLAG_RESAMPLE };
	struct kvm_interrupt irq = { VEC_PIC };
	struct kvm_irqchip chip = {};
	struct kvm_pit_config pit = {};
	struct vm vm;

	vm_create(&vm, 0);
	EQ(ioctl(vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_SPLIT_IRQCHIP), 1, "KVM_CAP_SPLIT_IRQCHIP");
	FAILS(vm.fd, KVM_ENABLE_CAP, &flags, EINVAL);
	CAP_FAILS(vm.fd, KVM_CAP_SPLIT_IRQCHIP, 4097, EINVAL);
	MUST(!enable_cap(vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS), "KVM_CAP_SPLIT_IRQCHIP");
	CAP_FAILS(vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS, EEXIST);
	FAILS(vm.fd, KVM_CREATE_IRQCHIP, 0, EEXIST);
	FAILS(vm.fd, KVM_CREATE_PIT2, &pit, ENOENT);
	FAILS(vm.fd, KVM_GET_IRQCHIP, &chip, ENXIO);
	FAILS(vm.fd, KVM_SET_IRQCHIP, &chip, ENXIO);
	EQ(set_routes(&vm, &pin, 1), -1, "a route to a chip that is not in the kernel");
	EQ(errno, EINVAL, "errno");
	resample.fd = eventfd(0, 0);
	resample.resamplefd = eventfd(0, 0);
	FAILS(vm.fd, KVM_IRQFD, &resample, EINVAL);
	vm_destroy(&vm);

	vm_create(&vm, 0);
	vcpu_create(&vm, 0, guest_nothing);
	CAP_FAILS(vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS, EEXIST);
	vm_destroy(&vm);

	vm_create(&vm, KSFT_IRQCHIP);
	CAP_FAILS(vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS, EEXIST);
	FAILS(vcpu_create(&vm, 0, guest_nothing)->fd, KVM_INTERRUPT, &irq, ENXIO);
	vm_destroy(&vm);
}

/* --- EOI --- */

static void guest_eoi(void)
{
	apic_enable();
	g_trap_fn[VEC_LEVEL] = on_irq;
	g_trap_fn[VEC_EDGE] = on_irq;
	g_trap_fn[VEC_OTHER] = on_irq;
	g_sync(1);
	sti_nop_cli();
	G_EQ(count, 1, "one level-triggered interrupt");
	G_EQ(last_vector, VEC_LEVEL, "its vector");
	G_EQ(apic_read(APIC_ISR + 0x20), 0, "the interrupt has ended");
	g_sync(2);
	sti_nop_cli();
	G_EQ(last_vector, VEC_EDGE, "the edge-triggered interrupt");
	g_sync(3);
	sti_nop_cli();
	G_EQ(last_vector, VEC_OTHER, "the interrupt of a GSI without a pin");
	g_sync(4);
	sti_nop_cli();
	G_EQ(count, 4, "the level-triggered interrupt whose route is removed before its EOI");
}

static void host_eoi(void)
{
	struct kvm_irq_routing_entry routes[] = {
		msi_route(PIN_LEVEL, VEC_LEVEL, true),
		msi_route(PIN_EDGE, VEC_EDGE, false),
		msi_route(GSI_LEVEL, VEC_OTHER, true),
	};
	struct vcpu *vcpu;
	struct vm vm;

	split_vm(&vm, guest_eoi);
	vcpu = &vm.vcpu[0];
	MUST(!set_routes(&vm, routes, 3), "routes: %s", strerror(errno));
	vcpu_run_to_sync(vcpu, 1);
	line(&vm, PIN_LEVEL, 1);
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "KVM_RUN ends at the EOI");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IOAPIC_EOI, "exit reason");
	EQ(vcpu->run->eoi.vector, VEC_LEVEL, "vector");
	vcpu_run_to_sync(vcpu, 2);
	line(&vm, PIN_EDGE, 1);
	vcpu_run_to_sync(vcpu, 3);
	line(&vm, GSI_LEVEL, 1);
	vcpu_run_to_sync(vcpu, 4);
	/* The route is removed while the interrupt is in IRR, so its EOI causes no exit. */
	line(&vm, PIN_LEVEL, 1);
	MUST(!set_routes(&vm, routes + 1, 2), "routes");
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- ExtINT --- */

static void guest_extint(void)
{
	apic_enable();
	g_trap_fn[VEC_PIC] = on_pic;
	apic_write(APIC_LVTLINT0, LVT_MASKED);
	sti();
	g_sync(1);
	G_EQ(count, 0, "LINT0 is masked");
	cli();
	apic_write(APIC_LVTLINT0, LINT0_EXTINT);
	g_sync(2);
	G_EQ(count, 0, "IF is clear");
	sti_nop_cli();
	G_EQ(count, 1, "the interrupt given while IF was clear");
	g_sync(3);
	/* Here user space waits for an interrupt window. */
	sti_nop_cli();
	sti_nop_cli();
	G_EQ(count, 2, "the interrupt of the window");
	g_sync(4);
	sti_hlt_cli();
	G_EQ(count, 3, "the interrupt that ends HLT");
	G_EQ(last_vector, VEC_PIC, "vector");
	apic_write(APIC_LVTLINT0, LVT_MASKED);
	g_sync(5);
	sti_nop_cli();
	G_EQ(count, 3, "LINT0 is masked again");
}

static void give(struct vcpu *vcpu)
{
	struct kvm_interrupt irq = { VEC_PIC };

	DO(vcpu->fd, KVM_INTERRUPT, &irq);
	FAILS(vcpu->fd, KVM_INTERRUPT, &irq, EEXIST);
}

static void await_window(struct vcpu *vcpu)
{
	vcpu->run->request_interrupt_window = 1;
	EQ(vcpu_run_to_call(vcpu, NULL), GCALL_NONE, "KVM_RUN ends with the window");
	EQ(vcpu->run->exit_reason, KVM_EXIT_IRQ_WINDOW_OPEN, "exit reason");
	EQ(vcpu->run->ready_for_interrupt_injection, 1, "ready");
	vcpu->run->request_interrupt_window = 0;
}

static void host_extint(void)
{
	struct kvm_vcpu_events ev;
	struct kvm_sregs sregs;
	struct vcpu *vcpu;
	struct vm vm;

	split_vm(&vm, guest_extint);
	vcpu = &vm.vcpu[0];
	/* While LINT0 is masked, no window opens, regardless of IF. */
	vcpu->run->request_interrupt_window = 1;
	vcpu_run_to_sync(vcpu, 1);
	EQ(vcpu->run->if_flag, 1, "IF");
	EQ(vcpu->run->ready_for_interrupt_injection, 0, "not ready with LINT0 masked");
	vcpu->run->request_interrupt_window = 0;
	vcpu_run_to_sync(vcpu, 2);
	EQ(vcpu->run->ready_for_interrupt_injection, 0, "not ready with IF clear");
	give(vcpu);
	/* The interrupt is held at LINT0, which is not part of the vCPU's events; setting these does not affect it. */
	DO(vcpu->fd, KVM_GET_VCPU_EVENTS, &ev);
	EQ(ev.interrupt.injected, 0, "not being injected yet");
	vcpu_sregs(vcpu, &sregs);
	EQ(sregs.interrupt_bitmap[0], 0, "not in the interrupt bitmap either");
	DO(vcpu->fd, KVM_SET_VCPU_EVENTS, &ev);
	vcpu_run_to_sync(vcpu, 3);
	await_window(vcpu);
	give(vcpu);
	vcpu_run_to_sync(vcpu, 4);
	/* The guest halts with IF set, which opens the window. */
	await_window(vcpu);
	give(vcpu);
	vcpu_run_to_sync(vcpu, 5);
	give(vcpu);
	vcpu_run_to_end(vcpu);
	vm_destroy(&vm);
}

/* --- KVM_CAP_X2APIC_API --- */

static void guest_x2apic(void)
{
	apic_x2_enable();
	g_trap_fn[VEC_EDGE] = on_irq;
	g_sync(1);
	sti_nop_cli();
	G_EQ(count, expected, "messages that arrived");
}

#define ID(lapic)	(*(u32 *)((lapic).regs + APIC_ID))

/* Sends an MSI. Returns whether a vCPU has that destination. */
static bool msi_reaches(struct vm *vm, u32 dest)
{
	struct kvm_msi msi = { .address_lo = APIC_BASE | (dest & 0xff) << 12, .address_hi = dest & ~0xffu, .data = VEC_EDGE };

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) > 0;
}

static void x2apic_vm(struct vm *vm, u64 flags, u64 messages)
{
	vm_create(vm, 0);
	MUST(!enable_cap(vm->fd, KVM_CAP_SPLIT_IRQCHIP, PINS), "KVM_CAP_SPLIT_IRQCHIP");
	MUST(!flags || !enable_cap(vm->fd, KVM_CAP_X2APIC_API, flags), "KVM_CAP_X2APIC_API");
	vcpu_create(vm, 0, guest_x2apic);
	GUEST(vm, expected) = messages;
	vcpu_run_to_sync(&vm->vcpu[0], 1);
}

static void host_x2apic_api(void)
{
	struct kvm_irq_routing_entry route = msi_route(PIN_EDGE, VEC_EDGE, false);
	struct kvm_lapic_state lapic;
	struct vm vm;

	/* Without the capability: 8-bit IDs, 0xff is broadcast, the ID register has the xAPIC layout. */
	x2apic_vm(&vm, 0, 1);
	EQ(ioctl(vm.dev, KVM_CHECK_EXTENSION, KVM_CAP_X2APIC_API), 3, "KVM_CAP_X2APIC_API");
	CAP_FAILS(vm.fd, KVM_CAP_X2APIC_API, 4, EINVAL);
	OK(msi_reaches(&vm, 0), "ID 0");
	OK(msi_reaches(&vm, 0xff), "0xff is broadcast");
	OK(msi_reaches(&vm, 0x100), "the upper half is ignored");
	OK(!msi_reaches(&vm, 7), "ID 7");
	DO(vm.vcpu[0].fd, KVM_GET_LAPIC, &lapic);
	ID(lapic) = 5 << 24;
	DO(vm.vcpu[0].fd, KVM_SET_LAPIC, &lapic);
	DO(vm.vcpu[0].fd, KVM_GET_LAPIC, &lapic);
	EQ(ID(lapic), 0, "the ID is unchanged");
	vcpu_run_to_end(&vm.vcpu[0]);
	vm_destroy(&vm);

	x2apic_vm(&vm, KVM_X2APIC_API_USE_32BIT_IDS, 1);
	OK(!msi_reaches(&vm, 0x100), "ID 0x100");
	OK(msi_reaches(&vm, 0xff), "0xff is still broadcast");
	route.u.msi.address_hi = 1;
	EQ(set_routes(&vm, &route, 1), -1, "a reserved bit of the address's upper half");
	EQ(errno, EINVAL, "errno");
	DO(vm.vcpu[0].fd, KVM_GET_LAPIC, &lapic);
	ID(lapic) = 5;
	FAILS(vm.vcpu[0].fd, KVM_SET_LAPIC, &lapic, EINVAL);
	vcpu_run_to_end(&vm.vcpu[0]);
	vm_destroy(&vm);

	x2apic_vm(&vm, KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK | KVM_X2APIC_API_USE_32BIT_IDS, 1);
	OK(!msi_reaches(&vm, 0xff), "0xff is an ID");
	OK(msi_reaches(&vm, 0xffffffff), "0xffffffff is broadcast");
	vcpu_run_to_end(&vm.vcpu[0]);
	vm_destroy(&vm);
}

/* The vCPU's ID shows which layout KVM_GET_LAPIC uses for the ID register. */
static void host_x2apic_id(void)
{
	struct kvm_lapic_state lapic;
	struct vm vm;
	u64 flags;

	for (flags = 0; flags <= KVM_X2APIC_API_USE_32BIT_IDS; flags++) {
		u64 bsp = 9;

		vm_create(&vm, 0);
		DO(vm.fd, KVM_SET_BOOT_CPU_ID, bsp);
		MUST(!enable_cap(vm.fd, KVM_CAP_SPLIT_IRQCHIP, PINS), "KVM_CAP_SPLIT_IRQCHIP");
		MUST(!enable_cap(vm.fd, KVM_CAP_X2APIC_API, flags), "KVM_CAP_X2APIC_API");
		vm.vcpu[0].fd = DO(vm.fd, KVM_CREATE_VCPU, bsp);
		DO(vm.vcpu[0].fd, KVM_GET_LAPIC, &lapic);
		EQ(ID(lapic), 9 << 24, "xAPIC's ID");
		close(vm.vcpu[0].fd);
		vm_destroy(&vm);
	}
}

static const struct ksft_test tests[] = {
	{ "ioctls with the split irqchip", .host = host_api },
	{ "EOI of user space's I/O APIC", .host = host_eoi },
	{ "interrupts of user space's PIC", .host = host_extint },
	{ "destinations with KVM_CAP_X2APIC_API", .host = host_x2apic_api },
	{ "the APIC ID with KVM_CAP_X2APIC_API", .host = host_x2apic_id },
};

KSFT_MAIN(tests)
