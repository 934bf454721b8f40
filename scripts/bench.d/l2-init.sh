#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of the benchmark's L2: measures the rows of L2's Linux, and those of L3 on its own kvm_intel.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t devtmpfs devtmpfs /dev
. /bench.conf
[ -z "$boot" ] || /op mark end
mount -t proc proc /proc
mount -t sysfs sysfs /sys
. /linux-rows
linux_rows "$tick" "$fresh" "$again"
if [ -n "$micro_l3" ]; then
	modprobe kvm_intel
	# shellcheck disable=SC2086 # the options are several words
	DROSTE_DEVICE=/dev/kvm /micro --level l3:4 --only "$micro_l3" $options_l3
fi
poweroff -f
