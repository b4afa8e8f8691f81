package agent

import "time"

func newConntally(path string) Agent {
	return Agent{
		Name: "conntally", Program: path, Export: "IPFIX",
		Why: "As it comes: not one option but the collector, and the port at which it says " +
			"what it has lost.",
		Ready: "reading conntrack",
		Files: func(Setting) map[string]string {
			return map[string]string{"conntally.toml": "[conntrack]\nmax_cpu = 100.0\n"}
		},
		Args: func(s Setting) []string {
			args := []string{"run", "--collector", s.Collector.String(), "--metrics", metrics}
			if s.AllCPU {
				args = append(args, "--config", s.path("conntally.toml"))
			}
			return args
		},
		Version: []string{"version"},
		Period:  10 * time.Second,
		ask:     askMetrics,
		missed:  missedMetric,
	}
}

// byBPF returns conntally with eBPF as its source.
func byBPF(a Agent) Agent {
	a.Name += "-bpf"
	a.Why = "With one line of configuration: eBPF is its source, where the kernel allows that."
	a.Ready, a.NoEvents, a.Optional = "ends of connections are read by eBPF", true, true
	a.Files = func(s Setting) map[string]string {
		text := "[conntrack]\nsource = \"bpf\"\n"
		if s.AllCPU {
			text += "max_cpu = 100.0\n"
		}
		return map[string]string{"conntally.toml": text}
	}
	netlink := a.Args
	a.Args = func(s Setting) []string {
		s.AllCPU = true // so that it is given the file
		return netlink(s)
	}
	return a
}

// metrics is free in a router of its own.
const metrics = "127.0.0.1:9469"
