package web

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/condition"
)

// text returns what a page says: without markup, in one line.
func pageText(page string) string {
	page = regexp.MustCompile(`(?s)<(title|desc)[ >].*?</(title|desc)>`).ReplaceAllString(page, "")
	page = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, " ")
	return strings.Join(strings.Fields(page), " ")
}

// TestViewsSayWhatHistoryKnows: the figures of each view, computed here by hand.
func TestViewsSayWhatHistoryKnows(t *testing.T) {
	h := newSite(t, simple)
	for path, wants := range map[string][]string{
		"/": {
			"Now ↓ down 8.0 Mbit/s ↑ up 1.0 Mbit/s", "Today ↓ down 3.0 GB ↑ up 500 MB LAN 70 B",
			"November 2026 ↓ down 5.0 GB ↑ up 500 MB", "5.5 GB in all, about 5.8 GB by its end",
			"All devices 5.5 GB of 10.0 GB 55 %", "Within the quota: about 5.8 GB by 30 November.",
			"tv 5.5 GB of 5.0 GB 110 %", "Exceeded: about 5.8 GB",
			"Missing from these figures: 12 lost records 3h00m during which",
			"tv 8.0 Mbit/s 1.0 Mbit/s 3.5 GB 5.0 GB 500 MB",
			"Counted up to Sun 29 Nov 2026 14:00:00 CET",
		},
		"/devices":                          {"November 2026", "tv 02:00:00:00:00:01 5.0 GB 500 MB 70 B", "All 5.0 GB 500 MB 70 B 5.5 GB"},
		"/devices?period=day":               {"Sunday 29 November 2026", "tv 02:00:00:00:00:01 3.0 GB 500 MB"},
		"/devices?period=day&at=2026-11-02": {"Monday 2 November 2026", "tv 02:00:00:00:00:01 2.0 GB 0 B"},
		"/devices?period=hour":              {"Sunday 29 November 2026, 14:00–15:00", "No device moved anything"},
		"/devices?period=hour&at=1795950000": {
			"Sunday 29 November 2026, 12:00–13:00", "tv 02:00:00:00:00:01 3.0 GB"},
		"/devices?period=month&at=2026-10": {"October 2026", "No device moved anything"},
		"/device?id=02:00:00:00:00:01": {
			"tv Identity 02:00:00:00:00:01", "Last 24 hours down 3.0 GB up 500 MB",
			"Last 30 days down 5.0 GB", "Last 12 months down 5.0 GB", "Most on Sunday 12:00–13:00: 3.5 GB.",
			"198.51.100.9 new inbound udp 53 3.0 GB 500 MB 121 30s 12:00 13:00", "all others",
			"New since yesterday",
		},
		"/services": {"ssh.service 10.0 MB 20.0 MB 30.0 MB", "All 10.0 MB 20.0 MB 30.0 MB"},
		"/losses": {
			"Lost records 12 Lost datagrams 0", "Not running 3h00m", "crash",
			"127.0.0.1 IPFIX 7 1 000 12 50 0 0 0 5.0 GB",
		},
	} {
		w := get(t, h, path)
		said := pageText(strings.ReplaceAll(w.Body.String(), "\u202f", " "))
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("%s doesn't say %q:\n%s", path, want, said)
			}
		}
	}
}

// simple replaces the household by one device whose figures are round.
func simple(o *Options, m *memory) {
	*m = *newMemory(m.cal.Location)
	now := o.Now()
	m.flushed = now.Truncate(time.Hour)
	m.devices["02:00:00:00:00:01"] = usage.Device{ID: "02:00:00:00:00:01", Name: "tv", First: now, Last: now}
	add := func(at time.Time, u usage.Usage) {
		hour, day := m.cal.Hour(at)
		m.hours[usage.DeviceHour{Hour: hour, Day: day, Device: "02:00:00:00:00:01"}] = u
	}
	add(now.Add(-2*time.Hour), usage.Usage{
		WAN: usage.Counters{DownBytes: 3e9, UpBytes: 5e8}, LAN: usage.Counters{UpBytes: 70}})
	first := time.Date(2026, 11, 1, 0, 0, 0, 0, now.Location())
	add(first.AddDate(0, 0, 1), usage.Usage{WAN: usage.Counters{DownBytes: 2e9}})
	today := m.cal.Day(now)
	noon := m.cal.Start(today).Add(12 * time.Hour)
	m.destinations[usage.Destination{
		Day: today, Device: "02:00:00:00:00:01", Remote: netipAddr("198.51.100.9"), Protocol: 17,
		Port: 53, Inbound: true,
	}] = usage.DestinationUsage{
		Usage:      usage.Usage{WAN: usage.Counters{DownBytes: 3e9, UpBytes: 5e8}},
		UpContacts: 121, DownContacts: 120, First: noon, Last: noon.Add(time.Hour),
	}
	m.destinations[usage.Destination{Day: today, Device: "02:00:00:00:00:01"}] = usage.DestinationUsage{
		Usage: usage.Usage{LAN: usage.Counters{UpBytes: 70}}, First: noon, Last: noon}
	hour, _ := m.cal.Hour(now)
	m.services[usage.ServiceHour{Hour: hour, Day: today, Unit: "ssh.service"}] = usage.Counters{
		DownBytes: 1e7, UpBytes: 2e7}
	m.exporters[usage.ExporterHour{Hour: hour, Day: today, Exporter: usage.Exporter{
		Address: netipAddr("127.0.0.1"), Version: 10, Domain: 7,
	}}] = usage.Intake{Datagrams: 50, Records: 1000, Bytes: 5e9, MissingRecords: 12}
	m.absent = []usage.Absence{{From: first.Add(-time.Hour), To: first.Add(3 * time.Hour), Crash: true}}
	o.Rates = func() map[string]Rate { return map[string]Rate{"02:00:00:00:00:01": {Down: 8e6, Up: 1e6}} }
	o.Quotas = o.Quotas[:2]
	o.Quotas[0].Bytes, o.Quotas[1].Bytes, o.Quotas[1].Name = 10e9, 5e9, "tv"
}

// TestAnEmptyHistoryHasPages: what a user sees first.
func TestAnEmptyHistoryHasPages(t *testing.T) {
	h := newSite(t, func(o *Options, m *memory) {
		*m = *newMemory(m.cal.Location)
		*o = Options{History: m, Calendar: o.Calendar, Now: o.Now}
	})
	for path, want := range map[string]string{
		"/":         "No device has moved anything this month",
		"/devices":  "No device moved anything in this time",
		"/services": "Services are not counted",
		"/losses":   "No exporter sent anything",
		"/export":   "Download",
	} {
		w := get(t, h, path)
		said := pageText(w.Body.String())
		if w.Code != http.StatusOK || !strings.Contains(said, want) ||
			!strings.Contains(said, "Nothing has been stored yet") {
			t.Errorf("%s: %d %s", path, w.Code, said)
		}
	}
	if w := get(t, h, "/device?id=tv"); w.Code != http.StatusNotFound {
		t.Errorf("a device: %d", w.Code)
	}
}

// TestHostileNamesAreText on each view: in elements, attributes, drawings and addresses.
func TestHostileNamesAreText(t *testing.T) {
	h := newSite(t, nil)
	names := []string{"script", "b>", "i>", "iframe", "img", "style"}
	for name, path := range views() {
		body := get(t, h, path).Body.String()
		for _, element := range names {
			if strings.Contains(body, "<"+element) {
				t.Errorf("%s has an element %s", name, element)
			}
		}
		if strings.Contains(body, "\u202e") {
			t.Errorf("%s has a mark that turns text around", name)
		}
		checkMarkup(t, name, body)
	}
	for _, name := range []string{"overview", "devices", "device-named", "losses"} {
		if body := get(t, h, views()[name]).Body.String(); !strings.Contains(body, "alert(1)") {
			t.Errorf("%s doesn't show the name: the test proves nothing", name)
		}
	}
}

// checkMarkup checks that a page is well-formed, and has neither handlers nor styles.
func checkMarkup(t *testing.T, name, body string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				n := strings.ToLower(a.Name.Local)
				if strings.HasPrefix(n, "on") || n == "style" || n == "srcdoc" {
					t.Errorf("%s: %s has an attribute %s", name, e.Name.Local, n)
				}
				if (n == "href" || n == "src" || n == "action") && !strings.HasPrefix(a.Value, "/") &&
					!strings.HasPrefix(a.Value, "#") {
					t.Errorf("%s: leads to %q", name, a.Value)
				}
			}
		}
	}
}

// TestDevicesAreSorted by each column, both ways; the head says how.
func TestDevicesAreSorted(t *testing.T) {
	h := newSite(t, nil)
	row := regexp.MustCompile(`<tr><th scope="row"><a href="/device\?id=([^"]*)"`)
	first := func(query string) string {
		m := row.FindStringSubmatch(get(t, h, "/devices?"+query).Body.String())
		if m == nil {
			t.Fatalf("%s: no rows", query)
		}
		return strings.TrimPrefix(m[1], "02%3A00%3A00%3A00%3A00%3A")
	}
	for query, want := range map[string]string{
		"": "01", "sort=total": "01", "sort=total&order=last": "192.0.2.77", "sort=up": "04",
		"sort=down": "01", "sort=down&order=last": "06", "sort=name&order=last": "09",
		"sort=name": "07", "sort=lan": "01", "sort=seen": "03",
	} {
		if got := first(query); got != want {
			t.Errorf("%s: the first is %s, want %s", query, got, want)
		}
	}
	for query, want := range map[string]string{
		"":                    `aria-sort="descending"><a href="/devices?order=last&amp;sort=total">Total`,
		"sort=up&order=last":  `aria-sort="ascending"><a href="/devices?sort=up">Up`,
		"sort=name":           `aria-sort="ascending"><a href="/devices?order=last&amp;sort=name">Device`,
		"sort=up&period=hour": `<a href="/devices?period=hour&amp;sort=down">Down`,
	} {
		if body := get(t, h, "/devices?"+query).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s: no head %s", query, want)
		}
	}
}

// TestWrongParametersAreExplained, and no text of theirs is markup.
func TestWrongParametersAreExplained(t *testing.T) {
	h := newSite(t, nil)
	for target, want := range map[string]string{
		"/devices?period=year":                   `there is no period &#34;year&#34;`,
		"/devices?sort=<script>":                 `there is no sort &#34;&lt;script&gt;&#34;`,
		"/devices?period=day&at=2026-13-01":      `&#34;2026-13-01&#34; is no day`,
		"/devices?at=yesterday":                  `&#34;yesterday&#34; is no month`,
		"/devices?period=hour&at=99999999999999": `is no hour`,
		"/devices?at=1900-01":                    `is no month`,
		"/devices?sort=up&sort=down":             "sort is given twice",
		"/devices?a=%zz":                         "the address is malformed",
		"/devices?a=1;b=2":                       "the address is malformed",
		"/device?id=nobody":                      "there is no such device",
		"/device":                                "there is no such device",
		"/device?id=router&period=hour":          "destinations are kept by day",
	} {
		w := get(t, h, target)
		if w.Code < 400 || w.Code > 404 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", target, w.Code, pageText(w.Body.String()))
		}
	}
}

// TestFailuresOfTheDatabaseAreNotShown: the log has them.
func TestFailuresOfTheDatabaseAreNotShown(t *testing.T) {
	h := newSite(t, func(_ *Options, m *memory) { m.failure = errors.New("disk /dev/sdz on fire") })
	for name, path := range views() {
		if name == "failure" {
			continue
		}
		if w := get(t, h, path); w.Code != http.StatusServiceUnavailable ||
			strings.Contains(w.Body.String(), "sdz") {
			t.Errorf("%s: %d %s", name, w.Code, pageText(w.Body.String()))
		}
	}
}

// TestPagesAreOfWhatIsCountedNow: they ask for what is pending first, and show what there is if
// that can't be written.
func TestPagesAreOfWhatIsCountedNow(t *testing.T) {
	asked := 0
	h := newSite(t, func(o *Options, m *memory) {
		simple(o, m)
		o.Refresh = func(context.Context) error {
			asked++
			for k, u := range m.hours {
				u.WAN.DownBytes *= 2
				m.hours[k] = u
			}
			return errors.New("the disk is full")
		}
	})
	if body := get(t, h, "/").Body.String(); !strings.Contains(pageText(body), "Today ↓ down 6.0 GB") {
		t.Errorf("%s", pageText(body))
	}
	get(t, h, "/style.css")
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// TestConditionsAreShownFirst: the failing ones before warnings, with what ends them.
func TestConditionsAreShownFirst(t *testing.T) {
	h := newSite(t, func(o *Options, _ *memory) {
		o.Conditions = func() []condition.Condition {
			return []condition.Condition{
				{Severity: condition.Warning, Message: "late", Advice: "wait"},
				{Severity: condition.Failing, Message: "disk full", Fix: "rm <x>"},
			}
		}
	})
	for _, path := range []string{"/", "/losses"} {
		said := pageText(get(t, h, path).Body.String())
		want := "Failing: disk full Fix: rm &lt;x&gt; Warning: late wait"
		if !strings.Contains(said, want) || !strings.Contains(said, "Losses 1 Export") {
			t.Errorf("%s: %s", path, said)
		}
	}
}

// TestHeadHasNoBody but the size of it.
func TestHeadHasNoBody(t *testing.T) {
	h := newSite(t, nil)
	for _, path := range []string{"/", "/style.css", "/download?what=devices"} {
		r := httptest.NewRequest(http.MethodHead, path, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.Len() > 0 {
			t.Errorf("%s: %d, %d bytes", path, w.Code, w.Body.Len())
		}
	}
}

// TestManyDevicesAreCutAndCounted: a page is bounded, and says that it isn't all.
func TestManyDevicesAreCutAndCounted(t *testing.T) {
	h := newSite(t, func(o *Options, m *memory) {
		simple(o, m)
		hour, day := m.cal.Hour(o.Now())
		for i := range 1000 {
			id := fmt.Sprintf("10.0.%d.%d", i/250, i%250)
			m.devices[id] = usage.Device{ID: id, Name: strings.Repeat("x", 255)}
			m.hours[usage.DeviceHour{Hour: hour, Day: day, Device: id}] = usage.Usage{
				WAN: usage.Counters{UpBytes: uint64(i)}}
		}
	})
	for path, want := range map[string]string{
		"/": "All devices (991 more)", "/devices": "801 more are not shown",
	} {
		body := get(t, h, path).Body.String()
		if !strings.Contains(pageText(body), want) || len(body) > 400_000 {
			t.Errorf("%s: %d bytes, without %q", path, len(body), want)
		}
	}
}
