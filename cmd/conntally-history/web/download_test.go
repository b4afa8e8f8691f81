package web

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestDownloadsHaveTheFiguresOfThePages, in the form of conntally-history report.
func TestDownloadsHaveTheFiguresOfThePages(t *testing.T) {
	h := newSite(t, simple)
	for query, want := range map[string]string{
		"what=devices&from=2026-11-01&to=2026-11-29": "start,device,name,up_bytes,down_bytes",
		"what=destinations":                          "198.51.100.9,udp,53,true,true,500000000,3000000000",
		"what=services":                              "ssh.service,20000000,10000000",
		"what=exporters":                             "127.0.0.1,10,7,50,1000,5000000000,12",
		"what=devices&device=tv&period=hour":         "2026-11-29T12:00:00+01:00,02:00:00:00:00:01,tv,500000000,3000000000",
		"what=devices&period=month&from=2026-01-01":  "02:00:00:00:00:01,tv,500000000,5000000000",
	} {
		w := get(t, h, "/download?"+query)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d\n%s", query, w.Code, w.Body)
		}
		if got := w.Header().Get("Content-Type"); got != "text/csv; charset=utf-8" {
			t.Errorf("%s: %s", query, got)
		}
		if rows, err := csv.NewReader(w.Body).ReadAll(); err != nil || len(rows) < 2 {
			t.Errorf("%s: %d rows, %v", query, len(rows), err)
		}
		w = get(t, h, "/download?format=json&"+query)
		var object struct {
			MissingRecords uint64 `json:"missing_records"`
			Rows           []any  `json:"rows"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &object); err != nil || len(object.Rows) == 0 ||
			object.MissingRecords != 12 {
			t.Errorf("%s: %v %+v", query, err, object)
		}
	}
}

// TestDownloadsAreBounded, and what is wrong is explained.
func TestDownloadsAreBounded(t *testing.T) {
	h := newSite(t, nil)
	for query, want := range map[string]string{
		"what=secrets":                             "there is no what",
		"format=exe":                               "there is no format",
		"period=year":                              "there is no period",
		"from=2026-11-30&to=2026-11-29":            "has to end later",
		"from=yesterday":                           "is no day",
		"from=2026-01-01&to=2026-11-29":            "100 days of this at most",
		"period=hour&from=2026-11-01":              "7 days of this at most",
		"period=month&from=1971-01-01":             "at most",
		"what=destinations&from=2026-11-01":        "1 days of this at most",
		"what=destinations&period=hour":            "destinations are kept by day",
		"what=services&device=tv":                  "has no devices",
		"device=nobody":                            "no such device",
		"device=" + strings.Repeat("x", maxDevice): "no such device",
	} {
		w := get(t, h, "/download?"+query)
		if w.Code != 400 && w.Code != 404 || !strings.Contains(w.Body.String(), want) ||
			w.Header().Get("Content-Disposition") != "" {
			t.Errorf("%s: %d %s", query, w.Code, pageText(w.Body.String()))
		}
	}
}

// TestNamesOfFilesAreHarmless whatever the device is called, and so are the cells.
func TestNamesOfFilesAreHarmless(t *testing.T) {
	h := newSite(t, func(_ *Options, m *memory) {
		d := m.devices["02:00:00:00:00:07"]
		d.Name = `=cmd|'/c calc'!A1"; filename=../../etc/passwd` + "\u202e"
		m.devices[d.ID] = d
	})
	harmless := regexp.MustCompile(`^attachment; filename="conntally-devices-[A-Za-z0-9.-]{1,100}\.csv"$`)
	for _, device := range []string{
		"02:00:00:00:00:07", `=cmd|'/c calc'!A1"; filename=../../etc/passwd` + "\u202e",
	} {
		w := get(t, h, "/download?device="+url.QueryEscape(device))
		if w.Code != http.StatusOK || !harmless.MatchString(w.Header().Get("Content-Disposition")) {
			t.Errorf("%d %q", w.Code, w.Header())
		}
		rows, err := csv.NewReader(w.Body).ReadAll()
		if err != nil || len(rows) != 2 || !strings.HasPrefix(rows[1][2], "'=cmd") {
			t.Errorf("%v %q", err, rows)
		}
	}
}

// TestLinksOfTheExportPageWork: none asks for more than a download may have.
func TestLinksOfTheExportPageWork(t *testing.T) {
	h := newSite(t, func(o *Options, _ *memory) { o.BillingDay = 31 })
	for _, page := range []string{"/export", "/device?id=router&period=month"} {
		links := regexp.MustCompile(`href="(/download[^"]*)"`).FindAllStringSubmatch(
			get(t, h, page).Body.String(), -1)
		if len(links) < 2 {
			t.Errorf("%s has %d links", page, len(links))
		}
		for _, link := range links {
			if w := get(t, h, strings.ReplaceAll(link[1], "&amp;", "&")); w.Code != http.StatusOK {
				t.Errorf("%s: %d %s", link[1], w.Code, pageText(w.Body.String()))
			}
		}
	}
}
