package agent

import "time"

func newConntally(path string) Agent { return withConfig(path, "") }

// withConfig returns conntally with a configuration of [conntrack] besides the collector.
func withConfig(path, conntrack string) Agent {
	config := func(s Setting) string {
		if s.AllCPU {
			return conntrack + "max_cpu = 100.0\n"
		}
		return conntrack
	}
	return Agent{
		Name: "conntally", Program: path, Export: "IPFIX",
		Why: "As it comes: not one option but the collector, and the port at which it says " +
			"what it has lost.",
		Ready: "reading conntrack",
		Files: func(s Setting) map[string]string {
			return map[string]string{"conntally.toml": "[conntrack]\n" + config(s)}
		},
		Args: func(s Setting) []string {
			args := []string{"run", "--collector", s.Collector.String(), "--metrics", metrics}
			if config(s) != "" {
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
func byBPF(path string) Agent {
	a := withConfig(path, "source = \"bpf\"\n")
	a.Name += "-bpf"
	a.Why = "With one line of configuration: eBPF is its source, where the kernel allows that."
	a.Ready, a.NoEvents, a.Optional = "ends of connections are read by eBPF", true, true
	return a
}

// metrics is free in a router of its own.
const metrics = "127.0.0.1:9469"
