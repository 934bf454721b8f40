#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of the L1 Linux of scripts/bench lhp: hands the lock over between two vCPUs of an L2 of its own kvm_intel.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
modprobe kvm_intel
echo "lhp: gap $(cat /sys/module/kvm_intel/parameters/ple_gap)"
DROSTE_DEVICE=/dev/kvm /lhp as-is
poweroff -f
