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

// metrics is free in a router of its own.
const metrics = "127.0.0.1:9469"
