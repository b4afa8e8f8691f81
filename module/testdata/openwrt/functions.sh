# What the init script calls of OpenWrt's /lib/functions.sh and procd.sh: the options are variables,
# as the test has written them to $UCI, and what procd is told is printed.
# shellcheck shell=dash

config_load() {
	# shellcheck disable=SC1090 # the test's file
	. "$UCI/$1"
}

config_get() { eval "$1=\${CONFIG_$2_$3:-\$4}"; }

config_get_bool() {
	config_get "$@"
	eval "case \$$1 in 1 | on | true | yes | enabled) $1=1 ;; 0 | off | false | no | disabled) $1=0 ;; *) $1=\$4 ;; esac"
}

config_foreach() {
	local function="$1" kind="$2" section of
	for section in $CONFIG_SECTIONS; do
		config_get of "$section" TYPE
		[ "$of" != "$kind" ] || "$function" "$section"
	done
}

config_list_foreach() {
	local section="$1" option="$2" function="$3" len val c=1
	config_get len "$section" "${option}_LENGTH"
	while [ "$c" -le "${len:-0}" ]; do
		config_get val "$section" "${option}_ITEM$c"
		c=$((c + 1))
		"$function" "$val"
	done
}

procd_open_instance() { echo "open instance"; }
procd_set_param() { echo "param $*"; }
procd_close_instance() { echo "close instance"; }
procd_send_signal() { echo "signal $*"; }
procd_add_reload_trigger() { echo "trigger $*"; }
rc_procd() {
	echo "open service"
	"$@"
	echo "close service"
}
