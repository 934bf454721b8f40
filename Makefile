# SPDX-License-Identifier: GPL-2.0
# `make` builds Droste, `make demo` shows it at work, `make test` tests it.

# The kernel to build for: the running one unless KDIR=/path/to/headers names another.
KDIR ?= /lib/modules/$(shell uname -r)/build

# Use all CPUs unless -j says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

all: module ctl

module:
	$(MAKE) -C $(KDIR) M=$(CURDIR)/kmod modules

ctl:
	$(MAKE) -C ctl

clean:
	-test ! -d $(KDIR) || $(MAKE) -C $(KDIR) M=$(CURDIR)/kmod clean
	$(MAKE) -C ctl clean

# Runs Linux as L1 on Droste and Linux as L2 in it, in an emulated machine if this one has no VMX.
demo:
	scripts/demo

# Runs Debian's Xen as L1 in QEMU on Droste, with a PVH and an HVM guest.
demo-xen:
	scripts/demo-xen

# Runs all automatic tests; ends with "N passed, N failed".
test:
	scripts/test

# Runs the kernel's own KVM selftests on kvm_intel and on Droste side by side.
test-kvm-selftests:
	scripts/test kvm-selftests

.PHONY: all module ctl clean demo demo-xen test test-kvm-selftests
