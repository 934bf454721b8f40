# SPDX-License-Identifier: GPL-2.0
# Completes drostectl's commands and options in bash.

_drostectl()
{
	local word=$2 before=$3 command=${COMP_WORDS[1]}

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "run receive info cpu profile audit ps top trace regs vmcs diff ept why break whoami help --help --version" -- "$word")
		return
	fi
	case $command$before in
	run--cpu | run--profile | run--save | run--restore | receive--save)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames
		return ;;
	esac
	case $before in
	--kernel | --device)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames
		return ;;
	--initrd)
		mapfile -t COMPREPLY < <(compgen -W auto -- "$word"; compgen -f -- "$word")
		compopt -o filenames
		return ;;
	--caps)
		mapfile -t COMPREPLY < <(compgen -W "host default" -- "$word"; compgen -f -- "$word")
		compopt -o filenames
		return ;;
	-o | --output | -i | --input)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames
		return ;;
	--clock)
		mapfile -t COMPREPLY < <(compgen -W "local global counter uptime perf mono mono_raw boot tai x86-tsc" -- "$word")
		return ;;
	--if-lost)
		mapfile -t COMPREPLY < <(compgen -W "start end" -- "$word")
		return ;;
	--by)
		mapfile -t COMPREPLY < <(compgen -W "reason level why" -- "$word")
		return ;;
	--filter | --buffer | --note)
		return ;;
	--level)
		mapfile -t COMPREPLY < <(compgen -W "1 2" -- "$word")
		return ;;
	--force-exits)
		mapfile -t COMPREPLY < <(compgen -W "all cr3-load cr3-store invlpg rdtsc rdpmc tables rdrand rdseed pause" -- "$word")
		return ;;
	--append | --migrate-to | --pass-ports | --pin | --dump | --cpus | --memory | --cpu | --vm | --pid | --vcpu | --interval | --field | --gpa | --timeout)
		return ;;
	esac
	case $command in
	run)
		mapfile -t COMPREPLY < <(compgen -W "--kernel --initrd --append --fast --cpu --profile --cpus --pin --memory --device \
			--pass-ports --hypervisor --lock-vmx --force-exits --trace-unhandled --quiet --stats --save --restore --migrate-to --barriers --help" -- "$word") ;;
	receive)
		mapfile -t COMPREPLY < <(compgen -W "--if-lost --memory --device --pin --save --migrate-to --barriers --trace-unhandled --quiet \
			--stats --help" -- "$word") ;;
	info)
		mapfile -t COMPREPLY < <(compgen -W "--device --cpu --json --help" -- "$word") ;;
	cpu)
		mapfile -t COMPREPLY < <(compgen -W "dump baseline compare pool none --device --host --help" -- "$word"; compgen -f -- "$word")
		compopt -o filenames ;;
	profile)
		mapfile -t COMPREPLY < <(compgen -W "capture check --device --help" -- "$word"; compgen -f -- "$word")
		compopt -o filenames ;;
	ps)
		mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$word") ;;
	top)
		mapfile -t COMPREPLY < <(compgen -W "--vm --pid --vcpu --by --interval --once --json --help" -- "$word") ;;
	trace)
		mapfile -t COMPREPLY < <(compgen -W "--l1 --l2 --insn --filter --pid --clock --buffer --note --output --json --help" -- "$word"
			compgen -c -- "$word") ;;
	regs)
		mapfile -t COMPREPLY < <(compgen -W "--level --vm --pid --vcpu --json --help" -- "$word") ;;
	vmcs)
		mapfile -t COMPREPLY < <(compgen -W "01 12 02 shadow --gpa --vm --pid --vcpu --field --json --help" -- "$word") ;;
	diff)
		mapfile -t COMPREPLY < <(compgen -W "01 12 02 shadow --vm --pid --vcpu --controls --all --json --help" -- "$word"
			compgen -f -- "$word")
		compopt -o filenames ;;
	ept)
		mapfile -t COMPREPLY < <(compgen -W "--l1 --vm --pid --vcpu --json --help" -- "$word") ;;
	why)
		mapfile -t COMPREPLY < <(compgen -W "--input --exit --vm --pid --vcpu --source --json --help" -- "$word") ;;
	break)
		mapfile -t COMPREPLY < <(compgen -W "--vm --pid --vcpu --timeout --help" -- "$word"; compgen -c -- "$word") ;;
	audit)
		mapfile -t COMPREPLY < <(compgen -W "--caps --dump --source --json --help" -- "$word"; compgen -f -- "$word")
		compopt -o filenames ;;
	whoami)
		mapfile -t COMPREPLY < <(compgen -W "--help" -- "$word") ;;
	help)
		mapfile -t COMPREPLY < <(compgen -W "run receive info cpu profile audit ps top trace regs vmcs diff ept why break whoami help" -- "$word") ;;
	esac
}

complete -F _drostectl drostectl
