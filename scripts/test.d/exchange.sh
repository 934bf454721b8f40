#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0 with kvm_intel loaded. VMs with an L1 are saved by one hypervisor and go on under the other, both ways.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
failed=0
mkdir from-kvm from-droste

on_kvm() {
	rmmod droste && modprobe kvm_intel nested=1 enable_apicv=0 || exit 1
	export DROSTE_DEVICE=/dev/kvm
}

on_droste() {
	rmmod kvm_intel kvm && insmod droste.ko || exit 1
	export DROSTE_DEVICE=/dev/droste
}

exchange() {
	echo "# --- $1-$2 on $DROSTE_DEVICE"
	./t_exchange "$1" "$2" || failed=1
}

# A VM that moves can only have what both hypervisors offer.
export DROSTE_DEVICE=/dev/kvm
exchange caps from-kvm
on_droste
exchange caps from-kvm
cp from-kvm/caps from-droste/
exchange save from-droste
on_kvm
exchange restore from-droste
exchange save from-kvm
on_droste
exchange restore from-kvm
exit $failed
