#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: the guests of scripts/bench paging, one after the other.
# Usage: paging-l0.sh DEVICE TAG:HOW... ; HOW is plain, small (no large pages in L0), cr3 (forced exits), or noept (kvm_intel of
# L0 without EPT).
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
. ./paging.conf
device=$1
shift

guest() {
	# shellcheck disable=SC2154 # lean is of paging.conf
	./drostectl run --device "$device" --kernel vmlinuz --quiet --append "$lean tag=$1" --initrd guest.cpio --memory 192 \
		${2:+--force-exits "$2"} || exit 1
}

for column; do
	tag=${column%:*}
	case ${column#*:} in
	plain) guest "$tag" ;;
	small)
		huge=$(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/mm/transparent_hugepage/enabled)
		echo never >/sys/kernel/mm/transparent_hugepage/enabled
		guest "$tag"
		echo "$huge" >/sys/kernel/mm/transparent_hugepage/enabled
		;;
	cr3) guest "$tag" cr3-load ;;
	noept)
		rmmod kvm_intel && modprobe kvm_intel ept=0 enable_apicv=0 || exit 1
		guest "$tag"
		;;
	esac
done
