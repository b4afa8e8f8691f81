# Made by go generate ./cmd/conntally-history from --help and the reference file.

_conntally_history() {
	local words= value= word=${COMP_WORDS[COMP_CWORD]}
	[ "$COMP_CWORD" -gt 1 ] && value=${COMP_WORDS[COMP_CWORD - 1]}
	case $value in
	--config)
		compopt -o default
		return
		;;
	--database)
		compopt -o default
		return
		;;
	--log-level) words='debug info warn error' ;;
	--by) words='device destination port service exporter total' ;;
	--period) words='hour day month' ;;
	--scope) words='wan lan all' ;;
	--listen | --web | --billing-day | --device | --from | --limit | --month | --to | --interface) ;;
	*)
		case $COMP_CWORD,${COMP_WORDS[1]},$word in
		1,*) words='serve report check export import demo version help' ;;
		*,serve,*) words='--check-config --config --database --listen --log-level --web' ;;
		*,report,*) words='--billing-day --by --config --csv --database --device --from --json --limit --month --new --period --quota --scope --to' ;;
		*,check,*) words='--config --database --json' ;;
		*,export,-*) words='--config --csv --database --from --json --to' ;;
		*,export,*) words='usage destinations services' ;;
		*,import,*) words='--config --database --from --interface --month --to' ;;
		*,demo,*) words='--web' ;;
		*,version,*) words='--json' ;;
		*,help,-*) words='' ;;
		*,help,*) words='serve report check export import demo version help' ;;
		esac
		;;
	esac
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _conntally_history conntally-history
