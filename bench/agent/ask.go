package agent

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const askTime = 5 * time.Second

// Ask asks the running program what it has seen, where there is a way to; what it
// answers is for Missed.
func (r *Running) Ask(ctx context.Context) (string, error) {
	if r.Agent.ask == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	return r.Agent.ask(ctx, r)
}

// Missed parses a program's answer and log for what it has missed; ok is false if the
// program doesn't report that.
func (a *Agent) Missed(answer, log string) (count uint64, unit string, ok bool) {
	if a.missed == nil {
		return 0, "", false
	}
	return a.missed(answer, log)
}

// askMetrics reads conntally's metrics.
func askMetrics(ctx context.Context, r *Running) (text string, err error) {
	err = r.Router.Do(func() error {
		conn, err := net.Dial("tcp", metrics)
		if err != nil {
			return err
		}
		client := http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn,
				error) {
				return conn, nil
			},
		}}
		defer client.CloseIdleConnections()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet,
			"http://"+metrics+"/metrics", nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		text = string(b)
		return err
	})
	return text, err
}

// missedMetric sums up conntally's events that found the receive buffer full.
func missedMetric(answer, _ string) (count uint64, unit string, ok bool) {
	for lines := bufio.NewScanner(strings.NewReader(answer)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if name, _, _ := strings.Cut(name, "{"); strings.HasSuffix(name, "_dropped_events_total") {
			n, err := strconv.ParseFloat(value, 64)
			count, ok = count+uint64(n), ok || err == nil
		}
	}
	return count, "events", ok
}

// askSoftflowctl asks softflowd on its control socket.
func askSoftflowctl(ctx context.Context, r *Running) (string, error) {
	out, err := exec.CommandContext(ctx, "/usr/sbin/softflowctl", "-c", r.Setting.path("ctl"),
		"statistics").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("softflowctl: %w: %s", err, out)
	}
	return string(out), nil
}

// missedPackets finds the packet filter's count of drops: of softflowd in its answer,
// of pmacctd in its log at the end.
func missedPackets(answer, log string) (count uint64, unit string, ok bool) {
	for _, line := range strings.Split(answer+"\n"+log, "\n") {
		for _, mark := range []string{"Packets dropped by libpcap: ", "dropped_packets="} {
			_, number, found := strings.Cut(line, mark)
			if n, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64); found && err == nil {
				count, ok = count+n, true
			}
		}
	}
	return count, "packets", ok
}

// missedWarnings counts ulogd2's warnings, each of which stands for at least one
// event.
func missedWarnings(_, log string) (count uint64, unit string, ok bool) {
	return uint64(strings.Count(log, "We are losing events")), "warnings", true
}
