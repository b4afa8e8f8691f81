#compdef conntally-history
# Made by go generate ./cmd/conntally-history from --help and the reference file.

local -a commands=(
	'serve:receive flow records and keep who moved how much'
	'report:who used how much: by device, destination, service, hour, day, month'
	'check:can it work as configured, and is something wrong?'
	'export:print all that is kept, as CSV or JSON'
	'import:add usage that export, nlbwmon or vnStat has printed'
	'demo:show it at work on a router made of namespaces'
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
serve)
	_arguments \
		'--check-config[say whether file and flags are good, and end]' \
		'--config[read this TOML FILE (default /etc/conntally-history.toml, if it is there)]:FILE:_files' \
		'--database[the database is FILE (default that of the configuration)]:FILE:_files' \
		'--listen[receive records at HOST\:PORT (default that of the configuration, 127.0.0.1\:2056)]:HOST\:PORT:()' \
		'--log-level[log this LEVEL\: debug, info, warn, error]:LEVEL:(debug info warn error)' \
		'--web[serve the web page at HOST\:PORT, or off (default that of the configuration, 127.0.0.1\:9470)]:HOST\:PORT:()'
	;;
report)
	_arguments \
		'--billing-day[billing months begin on day N (default that of the configuration)]:N:()' \
		'--by[rows are each a KIND\: device, destination, port, service, exporter, total (default device)]:KIND:(device destination port service exporter total)' \
		'--config[read this TOML FILE (default /etc/conntally-history.toml, if it is there)]:FILE:_files' \
		'--csv[print CSV]' \
		'--database[the database is FILE (default that of the configuration)]:FILE:_files' \
		'--device[only the device with this NAME, address or MAC]:NAME:()' \
		'--from[begin at TIME\: 2026-11-29, 2026-11-29T10\:00, yesterday, 7d]:TIME:()' \
		'--json[print one JSON object]' \
		'--limit[at most N rows of each period; 0 is all (default 40 destinations or ports where they are printed)]:N:()' \
		'--month[the billing month that begins in MONTH, such as 2026-11]:MONTH:()' \
		'--new[only destinations that are new; without --from, since yesterday]' \
		'--period[rows for each PERIOD\: hour, day, month]:PERIOD:(hour day month)' \
		'--quota[compare quotas; exit status 1 if one is exceeded]' \
		'--scope[traffic of this SCOPE\: wan, through an uplink; lan; or all (default wan)]:SCOPE:(wan lan all)' \
		'--to[end at TIME; a day or month is included (default now)]:TIME:()'
	;;
check)
	_arguments \
		'--config[read this TOML FILE (default /etc/conntally-history.toml, if it is there)]:FILE:_files' \
		'--database[the database is FILE (default that of the configuration)]:FILE:_files' \
		'--json[print one JSON array]'
	;;
export)
	_arguments \
		'--config[read this TOML FILE (default /etc/conntally-history.toml, if it is there)]:FILE:_files' \
		'--csv[print CSV, which is the default]' \
		'--database[the database is FILE (default that of the configuration)]:FILE:_files' \
		'--from[only from TIME on\: 2026-11-29, 2026-11, 7d]:TIME:()' \
		'--json[print one JSON object per row]' \
		'--to[only until TIME; a day or month is included]:TIME:()' \
		':argument:(usage destinations services)'
	;;
import)
	_arguments \
		'--config[read this TOML FILE (default /etc/conntally-history.toml, if it is there)]:FILE:_files' \
		'--database[the database is FILE (default that of the configuration)]:FILE:_files' \
		'--from[only from TIME on\: 2026-11-29, 2026-11, 7d]:TIME:()' \
		'--interface[the uplink'\''s NAME in a file of vnStat]:NAME:()' \
		'--month[the MONTH that a file of nlbwmon is about, such as 2026-11]:MONTH:()' \
		'--to[only until TIME; a day or month is included]:TIME:()'
	;;
demo)
	_arguments \
		'--web[serve the page at HOST\:PORT, where there is a terminal (default 127.0.0.1\:9470)]:HOST\:PORT:()'
	;;
version)
	_arguments \
		'--json[print one JSON object]'
	;;
help)
	_arguments \
		':argument:(serve report check export import demo version help)'
	;;
esac
