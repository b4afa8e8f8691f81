#compdef conntally
# Made by go generate ./cmd/conntally from --help and the reference file.

local -a commands=(
	'run:read conntrack and export flows; without a collector, print them'
	'top:what moves now, by device, destination, connection or port'
	'status:what the running service does, and what is wrong'
	'devices:what each device has moved'
	'flows:the open connections, the fastest first'
	'check:is this machine ready?'
	'listen:a small collector: print the flows that arrive'
	'demo:show it at work on a router made of namespaces'
	'collector-config:print what a collector'\''s configuration needs'
	'version:print the version'
	'help:list the commands, or one'\''s flags'
)
if (( CURRENT == 2 )); then
	_describe command commands
	return
fi
shift words
(( CURRENT-- ))
case $words[1] in
run)
	_arguments \
		'--active-timeout[export a long flow every DURATION (default 1m0s)]:DURATION:()' \
		'--check-config[say whether file and flags are good, and end]' \
		'*--collector[export to HOST\:PORT; may be repeated]:HOST\:PORT:()' \
		'--config[read this TOML FILE]:FILE:_files' \
		'--idle-timeout[export a flow that has been idle for DURATION (default 15s)]:DURATION:()' \
		'--json[print one JSON object per flow; only without a collector]' \
		'--log-level[log from this LEVEL on\: debug, info, warn, error (default info)]:LEVEL:(debug info warn error)' \
		'--metrics[serve Prometheus metrics at HOST\:PORT]:HOST\:PORT:()' \
		'--nat[VIEW of translated flows\: endpoints or wire (default endpoints)]:VIEW:(endpoints wire)' \
		'--poll-interval[read the counters every DURATION (default 10s, or a shorter timeout)]:DURATION:()' \
		'--protocol[PROTOCOL to all collectors\: ipfix or netflow9 (default ipfix)]:PROTOCOL:(ipfix netflow9)' \
		'--source[read ends of connections by SOURCE\: netlink, bpf or auto (default netlink)]:SOURCE:(netlink bpf auto)' \
		'--track[turn connection tracking on where no firewall rule does]'
	;;
top)
	_arguments \
		'--by[rows are each a KIND\: device, destination, connection, port (default device)]:KIND:(device destination connection port)' \
		'--json[print one JSON object per refresh]' \
		'-n[at most N rows (default 20 where they are printed, all as JSON)]:N:()' \
		'--once[print once, after 2 s, and end]' \
		'--socket[ask the service at the socket FILE (default /run/conntally/control.sock)]:FILE:_files' \
		'--sort[sort by ORDER\: total, up, down, connections (default total)]:ORDER:(total up down connections)'
	;;
status)
	_arguments \
		'--json[print one JSON object]' \
		'--socket[ask the service at the socket FILE (default /run/conntally/control.sock)]:FILE:_files'
	;;
devices)
	_arguments \
		'--json[print one JSON array]' \
		'--socket[ask the service at the socket FILE (default /run/conntally/control.sock)]:FILE:_files'
	;;
flows)
	_arguments \
		'--device[only those of the device with this NAME, address or MAC]:NAME:()' \
		'--json[print one JSON object]' \
		'--limit[at most N connections, up to 10000 (default 1000)]:N:()' \
		'--socket[ask the service at the socket FILE (default /run/conntally/control.sock)]:FILE:_files'
	;;
check)
	_arguments \
		'--config[look for what this TOML FILE wants]:FILE:_files' \
		'--json[print one JSON array]'
	;;
listen)
	_arguments \
		'--address[receive at HOST\:PORT (default 127.0.0.1\:2055)]:HOST\:PORT:()' \
		'--json[print one JSON object per flow]'
	;;
demo)
	_arguments \
		'--protocol[export by PROTOCOL\: ipfix or netflow9 (default ipfix)]:PROTOCOL:(ipfix netflow9)'
	;;
collector-config)
	_arguments \
		'--collector[the collector is at HOST\:PORT]:HOST\:PORT:()' \
		'--config[take the first collector of this TOML FILE]:FILE:_files' \
		':argument:(akvorado goflow2 nfdump pmacct)'
	;;
version)
	_arguments \
		'--json[print one JSON object]'
	;;
help)
	_arguments \
		':argument:(run top status devices flows check listen demo collector-config version help)'
	;;
esac
