#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of an L1 of scripts/bench paging: runs the guest with the workloads as an L2 of its own kvm_intel. Words of the kernel
# command line: tag=N and divide=N for the guest, and kvm_intel.ept=0 for an L1 that gives it shadow paging.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
. /paging.conf
modprobe kvm_intel
echo "paging: L1's kvm_intel has ept=$(cat /sys/module/kvm_intel/parameters/ept)"
# shellcheck disable=SC2154 # lean is of paging.conf
/drostectl run --device /dev/kvm --kernel /vmlinuz --quiet --initrd /guest.cpio --memory 192 \
	--append "$lean $(tr ' ' '\n' </proc/cmdline | grep -E '^(tag|divide)=' | tr '\n' ' ')"
poweroff -f
