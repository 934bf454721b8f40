# SPDX-License-Identifier: GPL-2.0
# `make` builds Droste, `make demo` shows it at work, `make test` tests it. `make help` lists the targets.

# The kernel to build for: the running one unless KDIR=/path/to/headers names another.
KDIR ?= /lib/modules/$(shell uname -r)/build
# The root of what `make install` installs, but for the module, whose place the kernel's tools define.
PREFIX ?= /usr/local

# Use all CPUs unless -j says otherwise.
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(shell nproc)
endif

GOALS := $(or $(MAKECMDGOALS),all)

# A line with "##" after a target is its description for `make help`.
all: module ctl			## droste.ko for the running kernel (or KDIR=...), and drostectl

module: headers			## kmod/droste.ko and kmod/droste_kvmtrace.ko alone
	$(MAKE) -C $(KDIR) M=$(CURDIR)/kmod modules

ctl:				## ctl/drostectl alone
	$(MAKE) -C ctl

# drostectl is built first, so that the message about missing headers is the last one.
ifneq ($(filter all install,$(GOALS)),)
headers: ctl
endif

headers:
	@test -e $(KDIR)/Makefile || { \
		echo "make: there are no kernel headers at $(KDIR)."; \
		echo "Install them (Debian: apt-get install linux-headers-$$(uname -r)), or name others by KDIR=/path/to/headers."; \
		$(if $(filter install,$(GOALS)),echo "'make -C ctl install' installs drostectl alone and needs none.";) \
		echo "'make ctl' and 'make demo' need none: the demo has a kernel of its own."; \
		exit 1; } >&2

# What goes where, below $(DESTDIR):
#   /lib/modules/VERSION/updates/droste.ko              (modules_install; Linux 6.1 has extra/ and may skip depmod)
#   /lib/modules/VERSION/updates/droste_kvmtrace.ko
#   $(PREFIX)/sbin/drostectl, $(PREFIX)/share/man/man8/drostectl.8, bash's completions in $(PREFIX)/share
#   $(PREFIX)/lib/udev/rules.d/60-droste.rules          (/dev/droste: group kvm, mode 0660; udev reads /usr and /usr/local)
install: all			## install the modules, drostectl, its manual page and the udev rule (DESTDIR, PREFIX)
	$(MAKE) -C $(KDIR) M=$(CURDIR)/kmod $(if $(DESTDIR),INSTALL_MOD_PATH=$(abspath $(DESTDIR))) modules_install
	$(MAKE) -C ctl install DESTDIR=$(abspath $(DESTDIR)) PREFIX=$(PREFIX)
	install -D -m 644 udev/60-droste.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/60-droste.rules

clean:				## remove the build products
	-test ! -d $(KDIR) || $(MAKE) -C $(KDIR) M=$(CURDIR)/kmod clean
	$(MAKE) -C ctl clean
	$(MAKE) -C selftests clean
	$(MAKE) -f scripts/unit.d/Makefile clean

demo:				## Linux as L1 on Droste and Linux as L2 in it, in an emulated machine if this one has no VMX
	scripts/demo

demo-instrument:		## Droste's instruments: why a VMLAUNCH fails, and a KVM in L1 seen from outside
	scripts/demo-instrument

demo-xen:			## Debian's Xen as L1 in QEMU on Droste, with a PVH and an HVM guest
	scripts/demo-xen

unit:				## the KUnit suites of the pure files in user space, in seconds (FILTER='droste_walk*')
	@$(MAKE) -s -f scripts/unit.d/Makefile check FILTER='$(FILTER)'

test-quick:			## what to run before each commit: under five minutes when the cache is warm
	scripts/test --quick

test:				## all automatic tests; ends with "N passed, N failed". scripts/test --help: one of them
	scripts/test

test-kvm-selftests:		## the kernel's own KVM selftests on kvm_intel and on Droste side by side
	scripts/test kvm-selftests

bench:				## what operations cost at L1, L2 and L3, on Droste and on kvm_intel; bench.json, bench*.svg
	scripts/bench --json bench.json --svg bench.svg --figures bench

# The files are goals of make's, too: make bench-compare docs/bench.json bench.json
ifeq (bench-compare,$(firstword $(MAKECMDGOALS)))
OLD := $(or $(word 2,$(MAKECMDGOALS)),docs/bench.json)
NEW := $(or $(word 3,$(MAKECMDGOALS)),bench.json)
$(filter-out bench-compare,$(MAKECMDGOALS)): ;
endif

bench-compare:			## OLD NEW: fail if a row of Droste's got dearer by over 5 % (docs/bench.json, bench.json)
	@scripts/bench compare $(OLD) $(NEW)

help:				## this list
	@echo "usage: make [TARGET] [KDIR=/path/to/headers]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1	\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='	' read -r target text; do printf '  %-20s%s\n' "$$target" "$$text"; done
	@echo "The tools have --help: scripts/lab, scripts/test, scripts/check-style, scripts/demo, ctl/drostectl."

.DEFAULT:
	@echo "make: there is no target '$@'; 'make help' lists them" >&2
	@exit 2

.PHONY: all module headers ctl install clean demo demo-instrument demo-xen unit test-quick test test-kvm-selftests bench bench-compare help
