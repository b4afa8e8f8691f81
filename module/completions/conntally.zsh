#compdef conntally
# Made by go generate ./cmd/conntally from what --help says.

local -a commands=(
	'run:read conntrack and export flows'
	'check:is this machine ready?'
	'listen:a small collector: print the flows that arrive'
	'demo:show it at work on a router made of namespaces'
	'collector-config:print what a collector'\''s configuration needs of this router'
	'version:print the version'
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
		'--active-timeout[export a flow that goes on this often (default 1m0s)]:often:()' \
		'--check-config[say whether file and flags are good, and end]' \
		'*--collector[export to HOST\:PORT; may be repeated]:HOST\:PORT:()' \
		'--config[read this TOML FILE]:FILE:_files' \
		'--idle-timeout[export a flow that rests after this long (default 15s)]:long:()' \
		'--log-level[log from this level on\: debug, info, warn, error (default info)]:level:(debug info warn error)' \
		'--metrics[serve Prometheus metrics at HOST\:PORT]:HOST\:PORT:()' \
		'--nat[addresses of translated flows\: endpoints or wire (default endpoints)]:endpoints:(endpoints wire)' \
		'--poll-interval[read the counters this often (default 10s, or a shorter timeout)]:often:()' \
		'--protocol[ipfix or netflow9, to all collectors (default ipfix)]:ipfix:(ipfix netflow9)' \
		'--track[have connections tracked where no firewall rule does]'
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
		'--protocol[export by ipfix or netflow9 (default ipfix)]:ipfix:(ipfix netflow9)'
	;;
collector-config)
	_arguments \
		'--collector[the collector is at HOST\:PORT]:HOST\:PORT:()' \
		'--config[take the first collector of this TOML FILE]:FILE:_files'
	;;
version)
	_arguments
	;;
esac
