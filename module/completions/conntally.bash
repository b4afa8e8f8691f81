# Made by go generate ./cmd/conntally from --help and the reference file.

_conntally() {
	local words= value= word=${COMP_WORDS[COMP_CWORD]}
	[ "$COMP_CWORD" -gt 1 ] && value=${COMP_WORDS[COMP_CWORD - 1]}
	case $value in
	--config)
		compopt -o default
		return
		;;
	--log-level) words='debug info warn error' ;;
	--nat) words='endpoints wire' ;;
	--protocol) words='ipfix netflow9' ;;
	--source) words='netlink bpf auto' ;;
	--by) words='device destination connection port' ;;
	--socket)
		compopt -o default
		return
		;;
	--sort) words='total up down connections' ;;
	--active-timeout | --collector | --idle-timeout | --metrics | --poll-interval | -n | --device | --limit | --address) ;;
	*)
		case $COMP_CWORD,${COMP_WORDS[1]},$word in
		1,*) words='run top status devices flows check listen demo collector-config version help' ;;
		*,run,*) words='--active-timeout --check-config --collector --config --idle-timeout --json --log-level --metrics --nat --poll-interval --protocol --source --track' ;;
		*,top,*) words='--by --json -n --once --socket --sort' ;;
		*,status,*) words='--json --socket' ;;
		*,devices,*) words='--json --socket' ;;
		*,flows,*) words='--device --json --limit --socket' ;;
		*,check,*) words='--config --json' ;;
		*,listen,*) words='--address --json' ;;
		*,demo,*) words='--protocol' ;;
		*,collector-config,-*) words='--collector --config' ;;
		*,collector-config,*) words='akvorado goflow2 nfdump pmacct' ;;
		*,version,*) words='--json' ;;
		*,help,-*) words='' ;;
		*,help,*) words='run top status devices flows check listen demo collector-config version help' ;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _conntally conntally
