package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const prometheusAddress = "127.0.0.1:9090"

// prometheus is a real one in the router, which scrapes conntally each second.
type prometheus struct {
	*rig
	client http.Client
}

// prometheus starts one that scrapes an address, with the rules of docs/monitoring.
func (r *rig) prometheus(target string) *prometheus {
	r.t.Helper()
	dir := r.t.TempDir()
	rules, err := filepath.Abs("../../docs/monitoring")
	if err != nil {
		r.t.Fatal(err)
	}
	text := fmt.Sprintf(`global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs: [{job_name: conntally, static_configs: [{targets: [%q]}]}]
`, rules+"/*.yml", target)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	p := r.start(need(r.t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+dir,
		"--web.listen-address="+prometheusAddress)
	p.says("Server is ready")
	return &prometheus{r, http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, address string) (conn net.Conn, err error) {
			err = r.Router.Do(func() (err error) { conn, err = net.Dial(network, address); return err })
			return conn, err
		},
	}}}
}

// get has the API answer with data.
func (p *prometheus) get(path string, query url.Values, data any) {
	p.t.Helper()
	address := "http://" + prometheusAddress + "/api/v1/" + path + "?" + query.Encode()
	request, err := http.NewRequestWithContext(p.ctx, http.MethodGet, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		p.t.Fatal(err)
	}
	if answer.Status != "success" {
		p.t.Fatalf("Prometheus refuses %v: %s", query, answer.Error)
	}
}

// point is a sample: seconds since 1970, and a number in a string.
type point [2]any

func (p point) value(t *testing.T) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(p[1].(string), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// series is what a query returns: Value of an instant, Values of a range.
type series struct {
	Metric map[string]string
	Value  point
	Values []point
}

// query evaluates an expression at a time; the zero time is now.
func (p *prometheus) query(expression string, at time.Time) (all []series) {
	p.t.Helper()
	query := url.Values{"query": {expression}}
	if !at.IsZero() {
		query.Set("time", strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64))
	}
	var data struct {
		ResultType string
		Result     json.RawMessage
	}
	p.get("query", query, &data)
	if data.ResultType == "scalar" {
		p.t.Fatalf("%s is a scalar", expression)
	}
	if err := json.Unmarshal(data.Result, &all); err != nil {
		p.t.Fatal(err)
	}
	return all
}

// brokenRules returns the rules that could not be evaluated, and how many there are.
func (p *prometheus) brokenRules() (broken []string, all int) {
	p.t.Helper()
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	p.get("rules", nil, &data)
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			all++
			if r.Health != "ok" {
				broken = append(broken, r.Name+": "+r.Health+" "+r.LastError)
			}
		}
	}
	return broken, all
}
