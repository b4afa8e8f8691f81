package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// browserTimeout bounds one question to the browser. It only ever ends a test that hangs.
const browserTimeout = 2 * time.Minute

// browser is a Chromium without a window, driven by the DevTools protocol. Its messages cross
// a pipe, each ended by a zero byte.
type browser struct {
	t       testing.TB
	to      *os.File
	session string

	mu      sync.Mutex
	last    int
	answers map[int]chan message
	events  []message
	loaded  chan struct{} // a page has been loaded
}

// message is one of the protocol: a command, its answer or an event.
type message struct {
	ID      int             `json:"id,omitempty"`
	Session string          `json:"sessionId,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// findChromium returns the browser's program. Where there is none the test is skipped, but
// for continuous integration.
func findChromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no chromium, which CI=true asks for")
	}
	t.Skip("there is no chromium to show the pages")
	return ""
}

// startBrowser starts a browser by way of do, which may enter a network namespace.
func startBrowser(t testing.TB, do func(func() error) error) *browser {
	t.Helper()
	path := findChromium(t)
	fromTest, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, toTest, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu",
		"--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{fromTest, toTest}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	fromTest.Close()
	toTest.Close()
	b := &browser{t: t, to: to, answers: map[int]chan message{}, loaded: make(chan struct{}, 8)}
	done := make(chan struct{})
	go func() { defer close(done); b.read(from) }()
	t.Cleanup(func() {
		_ = b.send(message{ID: 1 << 30, Method: "Browser.close"})
		select {
		case <-done:
		case <-time.After(10 * time.Second):
		}
		cancel()
		_ = cmd.Wait()
		to.Close()
		from.Close()
		if t.Failed() {
			t.Logf("chromium said: %.2000s", said.String())
		}
	})
	b.attach()
	return b
}

func (b *browser) read(from *os.File) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 64<<20)
	lines.Split(func(data []byte, _ bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, 0); i >= 0 {
			return i + 1, data[:i], nil
		}
		return 0, nil, nil
	})
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue
		}
		b.mu.Lock()
		if m.ID == 0 {
			b.events = append(b.events, m)
		}
		answer := b.answers[m.ID]
		b.mu.Unlock()
		if m.Method == "Page.loadEventFired" {
			b.loaded <- struct{}{}
		}
		if answer != nil {
			answer <- m
		}
	}
}

func (b *browser) send(m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = b.to.Write(append(text, 0))
	return err
}

// call sends a command and stores its result, unless that is nil.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	text, err := json.Marshal(params)
	if err != nil {
		b.t.Fatal(err)
	}
	answer := make(chan message, 1)
	b.mu.Lock()
	b.last++
	m := message{ID: b.last, Session: b.session, Method: method, Params: text}
	b.answers[m.ID] = answer
	b.mu.Unlock()
	if err := b.send(m); err != nil {
		b.t.Fatal(err)
	}
	select {
	case m := <-answer:
		if m.Error != nil {
			b.t.Fatalf("%s: %s", method, m.Error)
		}
		if result != nil {
			if err := json.Unmarshal(m.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
	case <-time.After(browserTimeout):
		b.t.Fatalf("%s: no answer", method)
	}
}

type object = map[string]any

// attach opens a page in which scripts don't run.
func (b *browser) attach() {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("Target.createTarget", object{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	for _, domain := range []string{"Page", "Network", "Log", "Runtime", "Audits"} {
		b.call(domain+".enable", object{}, nil)
	}
	b.call("Emulation.setScriptExecutionDisabled", object{"value": true}, nil)
}

// screen sets the size of the screen in pixels, and the scheme of colours.
func (b *browser) screen(width, height int, scheme string) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", object{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
	}, nil)
	b.call("Emulation.setEmulatedMedia", object{
		"features": []object{{"name": "prefers-color-scheme", "value": scheme}},
	}, nil)
}

// open shows a page.
func (b *browser) open(url string) {
	b.t.Helper()
	b.mu.Lock()
	b.events = nil
	b.mu.Unlock()
	for len(b.loaded) > 0 {
		<-b.loaded
	}
	var result struct{ ErrorText string }
	b.call("Page.navigate", object{"url": url}, &result)
	if result.ErrorText != "" {
		b.t.Fatalf("%s: %s", url, result.ErrorText)
	}
	select {
	case <-b.loaded:
	case <-time.After(browserTimeout):
		b.t.Fatalf("%s does not load", url)
	}
}

// evaluate runs a script of the test in the page, and returns its text.
func (b *browser) evaluate(script string) string {
	b.t.Helper()
	var result struct {
		Result           struct{ Value string }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", object{"expression": script, "returnByValue": true}, &result)
	if result.ExceptionDetails != nil {
		b.t.Fatalf("%s", result.ExceptionDetails)
	}
	return result.Result.Value
}

// screenshot saves a picture of the whole page.
func (b *browser) screenshot(path string) {
	b.t.Helper()
	var picture struct{ Data []byte }
	b.call("Page.captureScreenshot", object{"format": "png", "captureBeyondViewport": true},
		&picture)
	if err := os.WriteFile(path, picture.Data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// requests returns the addresses of all that the page asked for.
func (b *browser) requests() (urls []string) {
	for _, m := range b.seen("Network.requestWillBeSent") {
		var event struct{ Request struct{ URL string } }
		if err := json.Unmarshal(m.Params, &event); err != nil {
			b.t.Fatal(err)
		}
		urls = append(urls, event.Request.URL)
	}
	return urls
}

// complaints returns what the browser's console says.
func (b *browser) complaints() (said []string) {
	for _, method := range []string{
		"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown",
		"Audits.issueAdded", "Network.loadingFailed",
	} {
		for _, m := range b.seen(method) {
			said = append(said, fmt.Sprintf("%s: %s", method, m.Params))
		}
	}
	return said
}

func (b *browser) seen(method string) (all []message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.events {
		if strings.EqualFold(m.Method, method) {
			all = append(all, m)
		}
	}
	return all
}
