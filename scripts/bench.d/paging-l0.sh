#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: the guests of scripts/bench paging, one after the other.
# Usage: paging-l0.sh DEVICE TAG:HOW:DIVIDE... ; HOW is plain, small (no large pages in L0), cr3 (forced exits), noept (kvm_intel
# of L0 without EPT), or, for a guest of an L1: l2, l2-cr3, or l2-noept (kvm_intel of L1 without EPT). DIVIDE: see paging-init.sh.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
. ./paging.conf
device=$1
shift

# run IMAGE MEMORY FORCED-EXITS [WORD...]: both hypervisors call themselves KVM, so that guests use the same paravirtual features
run() {
	image=$1 memory=$2 force=$3
	shift 3
	# shellcheck disable=SC2154 # lean is of paging.conf
	./drostectl run --device "$device" --hypervisor kvm --kernel vmlinuz --quiet --initrd "$image" \
		--append "$lean tag=$tag divide=$divide $*" --memory "$memory" ${force:+--force-exits "$force"} || exit 1
}

guest() {
	run guest.cpio 192 "$1"
}

# An L1, and in it the same guest.
nested() {
	run l1.cpio 512 "$@"
}

for column; do
	tag=${column%%:*}
	divide=${column##*:}
	how=${column#*:}
	case ${how%:*} in
	plain) guest "" ;;
	small)
		huge=$(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/mm/transparent_hugepage/enabled)
		echo never >/sys/kernel/mm/transparent_hugepage/enabled
		guest ""
		echo "$huge" >/sys/kernel/mm/transparent_hugepage/enabled
		;;
	cr3) guest cr3-load ;;
	noept)
		rmmod kvm_intel && modprobe kvm_intel ept=0 enable_apicv=0 || exit 1
		guest ""
		;;
	l2) nested "" ;;
	l2-cr3) nested cr3-load ;;
	l2-noept) nested "" kvm_intel.ept=0 ;;
	esac
done
