package monitor

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The files of docs/monitoring.

// known fails unless all metrics of a PromQL expression exist.
func known(t *testing.T, where, expression string) {
	t.Helper()
	found := regexp.MustCompile(`\b(conntally|process|go)_[a-z_]+`).FindAllString(expression, -1)
	recorded := strings.Contains(expression, "up{") || strings.Contains(expression, "conntally:")
	if len(found) == 0 && !recorded {
		t.Errorf("%s queries no metric of conntally: %s", where, expression)
	}
	for _, name := range found {
		if !names()[name] {
			t.Errorf("%s queries %s, which doesn't exist", where, name)
		}
	}
}

// TestAlertsUseExistingMetrics parses the alert rules and looks up the metrics of their
// expressions.
func TestAlertsUseExistingMetrics(t *testing.T) {
	for _, name := range []string{"alerts.yml", "alerts-devices.yml"} {
		text, err := os.ReadFile(filepath.Join(docs, "monitoring", name))
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Groups []struct {
				Name  string
				Rules []struct {
					Alert, Record, Expr, For string
					Labels, Annotations      map[string]string
				}
			}
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(&file); err != nil {
			t.Fatal(err)
		}
		if len(file.Groups) == 0 || len(file.Groups[0].Rules) == 0 {
			t.Fatalf("%s has no rules", name)
		}
		for _, r := range file.Groups[0].Rules {
			known(t, r.Alert+r.Record, r.Expr)
			if r.Record == "" && (r.Annotations["summary"] == "" || r.Labels["severity"] == "") {
				t.Errorf("%s lacks a summary or a severity", r.Alert)
			}
		}
	}
}

// TestDeviceAlertsFire has Prometheus's own tool try each rule on devices: it fires when it
// should, and ends.
func TestDeviceAlertsFire(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: make tools")
	}
	tests, err := filepath.Glob(filepath.Join("testdata", "alerts-*_test.yml"))
	if err != nil || len(tests) == 0 {
		t.Fatalf("%d tests of rules: %v", len(tests), err)
	}
	rules := filepath.Join(docs, "monitoring", "alerts-devices.yml")
	for _, args := range [][]string{
		{"check", "rules", rules}, append([]string{"test", "rules"}, tests...),
	} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// dashboard is the part of a Grafana dashboard that is checked here.
type dashboard struct {
	Title, UID string
	Panels     []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ RefID, Expr string }
	}
	Templating struct {
		List []struct{ Name, Query string }
	}
}

func readDashboard(t *testing.T, name string) (board dashboard) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, "monitoring", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return board
}

// TestDashboardsUseExistingMetrics parses the dashboards and looks up the metrics of their
// panels and variables.
func TestDashboardsUseExistingMetrics(t *testing.T) {
	for _, name := range []string{"dashboard.json", "dashboard-devices.json"} {
		board, ids := readDashboard(t, name), map[int]bool{}
		for _, p := range board.Panels {
			at := p.GridPos
			if ids[p.ID] || at.W == 0 || at.X+at.W > 24 || len(p.Targets) == 0 {
				t.Errorf("panel %d %q: a duplicate, without a place or a query", p.ID, p.Title)
			}
			ids[p.ID] = true
			for _, target := range p.Targets {
				known(t, p.Title, target.Expr)
			}
		}
		for _, v := range board.Templating.List {
			if v.Name != "datasource" {
				known(t, v.Name, v.Query)
			}
		}
		if board.Title == "" || board.UID == "" || len(ids) < 6 {
			t.Errorf("%q has %d panels", board.Title, len(ids))
		}
	}
}

// TestPanelsHaveTheirPlaces: no two panels of a dashboard overlap.
func TestPanelsHaveTheirPlaces(t *testing.T) {
	for _, name := range []string{"dashboard.json", "dashboard-devices.json"} {
		taken := map[[2]int]string{}
		for _, p := range readDashboard(t, name).Panels {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					if other, is := taken[[2]int{x, y}]; is {
						t.Fatalf("%s: %q and %q overlap", name, other, p.Title)
					}
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}
