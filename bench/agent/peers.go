package agent

import (
	"fmt"
	"path/filepath"
)

// Settings that all programs share, as far as they have them: an active flow is exported
// each minute; a UDP flow ends after a second without packets, as in the lab's conntrack,
// a TCP flow a second after its FIN or RST; buffers hold 16 MiB.
const (
	active  = 60 // seconds
	ended   = 1  // seconds
	resting = 15 // seconds, of TCP
	buffer  = 16 << 20
)

// Sysctls returns the conntrack timeouts that end the router's connections when the
// programs end their flows. The kernel's own defaults are 30 s and 120 s.
func Sysctls() map[string]string {
	all := map[string]string{}
	for _, timeout := range []string{
		"udp_timeout", "udp_timeout_stream", "tcp_timeout_time_wait", "tcp_timeout_close",
	} {
		all["net/netfilter/nf_conntrack_"+timeout] = fmt.Sprint(ended)
	}
	return all
}

func softflowd() Agent {
	return Agent{
		Name: "softflowd", Program: "softflowd", Package: "softflowd", Export: "NetFlow v9",
		Captures: true,
		Why: "-m: by default it holds 8192 flows and expires the others early. -t: the timeouts " +
			"that all have; expint 1 s, for with 60 s records come a minute late. -B: its packet " +
			"buffer is 2 MiB by default.",
		Args: func(s Setting) []string {
			return []string{
				"-i", s.Interface, "-n", s.Collector.String(), "-v", "9", "-m",
				fmt.Sprint(s.MaxFlows),
				"-t", fmt.Sprintf("maxlife=%d", active), "-t", fmt.Sprintf("udp=%d", ended),
				"-t", fmt.Sprintf("tcp=%d", resting), "-t", fmt.Sprintf("general=%d", resting),
				"-t", fmt.Sprintf("tcp.fin=%d", ended), "-t", fmt.Sprintf("tcp.rst=%d", ended),
				"-t", "expint=1",
				"-B", fmt.Sprint(buffer), "-c", s.path("ctl"), "-p", s.path("pid"),
			}
		},
		Version: []string{"-h"},
		ask:     askSoftflowctl,
		missed:  missedPackets,
	}
}

// fprobe doesn't report what it misses.
func fprobe() Agent {
	return Agent{
		Name: "fprobe", Program: "fprobe", Package: "fprobe", Export: "NetFlow v5", Captures: true,
		Why: "What its manual recommends under heavy load (-f ip, -B 4096, -r 2, -q 10000), " +
			"without the limit for slow collectors; the timeouts that all have; -s: expired " +
			"flows are looked for each second.",
		Args: func(s Setting) []string {
			return []string{
				"-l", "2", "-i", s.Interface, "-f", "ip", "-B", "4096", "-r", "2", "-q", "10000",
				"-s", "1", "-d", fmt.Sprint(ended), "-e", fmt.Sprint(active), s.Collector.String(),
			}
		},
		Version: []string{"-h"},
	}
}

const pmacctdConf = `daemonize: false
logfile: %[1]s/log
pcap_interface: %[2]s
pcap_filter: ip
pmacctd_pipe_size: %[3]d
plugins: nfprobe
plugin_pipe_size: 104857600
plugin_buffer_size: 102400
aggregate: src_host, dst_host, src_port, dst_port, proto
nfprobe_receiver: %[4]s
nfprobe_version: 9
nfprobe_maxflows: %[5]d
nfprobe_timeouts: tcp=%[8]d:tcp.rst=%[7]d:tcp.fin=%[7]d:udp=%[7]d:general=%[8]d:maxlife=%[6]d:expint=1
`

func pmacctd() Agent {
	return Agent{
		Name: "pmacctd", Program: "pmacctd", Package: "pmacct", Export: "NetFlow v9",
		Captures: true,
		Why: "The nfprobe plugin with the timeouts that all have and room for all flows. " +
			"plugin_buffer_size 100 KB and plugin_pipe_size a thousand times that, as its " +
			"documentation has it for 10,000 to 100,000 packets per second; by default each " +
			"packet goes from process to process by itself.",
		Files: func(s Setting) map[string]string {
			return map[string]string{"pmacctd.conf": fmt.Sprintf(pmacctdConf, s.Dir, s.Interface,
				buffer, s.Collector,
				s.MaxFlows, active, ended, resting)}
		},
		Args:    func(s Setting) []string { return []string{"-f", s.path("pmacctd.conf")} },
		Version: []string{"-V"},
		missed:  missedPackets,
	}
}

const ulogdConf = `[global]
logfile="%[1]s/log"
loglevel=5
%[5]sstack=ct1:NFCT,ipfix1:IPFIX
[ct1]
event_mask=4
hash_enable=0
netlink_socket_buffer_size=%[4]d
netlink_socket_buffer_maxsize=%[6]d
[ipfix1]
oid=1
host="%[2]s"
port=%[3]d
proto="udp"
send_template="always"
`

func ulogd2() Agent {
	return Agent{
		Name: "ulogd2", Program: "ulogd", Package: "ulogd2", Export: "IPFIX",
		Why: "NFCT without its own table and for ends alone (hash_enable 0, event_mask DESTROY): " +
			"the cheapest way to whole connections. It has no active timeout: a connection is " +
			"reported when it has ended. Templates always, since UDP loses them.",
		Sysctls: Accounting(), NeedsEnds: true,
		Files: func(s Setting) map[string]string {
			return map[string]string{"ulogd.conf": fmt.Sprintf(ulogdConf, s.Dir, s.Collector.Addr(),
				s.Collector.Port(), buffer,
				plugins("ulogd_inpflow_NFCT.so", "ulogd_output_IPFIX.so"), 2*buffer+1)}
		},
		Args:    func(s Setting) []string { return []string{"-c", s.path("ulogd.conf")} },
		Version: []string{"-V"},
		missed:  missedWarnings,
	}
}

// plugins finds ulogd's plugins, which have a directory for each architecture.
func plugins(names ...string) (lines string) {
	for _, name := range names {
		files, _ := filepath.Glob("/usr/lib/*/ulogd/" + name)
		for _, file := range files {
			lines += fmt.Sprintf("plugin=%q\n", file)
		}
	}
	return lines
}

// Accounting is what readers of conntrack need before connections begin; conntally turns
// it on itself.
func Accounting() map[string]string {
	return map[string]string{
		"net/netfilter/nf_conntrack_acct":      "1",
		"net/netfilter/nf_conntrack_timestamp": "1",
		"net/netfilter/nf_conntrack_events":    "1",
	}
}
