# SPDX-License-Identifier: GPL-2.0
# Droste's front door: `make` builds for a kernel, `make demo` shows it, `make test` tests it.

# The kernel to build for: the running one, or KDIR=/path/to/its/headers.
KDIR ?= /lib/modules/$(shell uname -r)/build

# All processors, unless make was told how many.
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

# L1 Linux on Droste and an L2 Linux in it, in an emulated VMX machine where this one has none.
demo:
	scripts/demo

# Debian's Xen as L1 in QEMU on Droste, a PVH and an HVM guest in it.
demo-xen:
	scripts/demo-xen

# Everything that can be tested; ends with "N passed, N failed".
test:
	scripts/test

# The kernel's own KVM selftests, on kvm_intel and on Droste side by side.
test-kvm-selftests:
	scripts/test kvm-selftests

.PHONY: all module ctl clean demo demo-xen test test-kvm-selftests
