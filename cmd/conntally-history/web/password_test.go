package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// clock is a time that tests move.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// locked returns a handler behind the name "anna" and the password "right".
func locked(t testing.TB) (*password, http.Handler, *clock) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{noon(t)}
	p := newPassword(&Access{User: "anna", PasswordHash: string(hash)}, c.now)
	return p, p.protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "secret")
	})), c
}

// try sends a name and a password from an address, and returns the status.
func try(h http.Handler, from, user, password string) int {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = from
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK && strings.Contains(w.Body.String(), "secret") {
		return 0
	}
	return w.Code
}

const desk, attacker = "192.0.2.5:4000", "192.0.2.66:4000"

func TestPasswordIsNeeded(t *testing.T) {
	_, h, _ := locked(t)
	for _, c := range []struct {
		user, password string
		want           int
	}{
		{"", "", 401}, {"anna", "wrong", 401}, {"ben", "right", 401}, {"anna", "", 401},
		{"Anna", "right", 401}, {"anna", "right", 200}, {"anna", "right ", 401},
		{"an", "naright", 401}, {"anna", "right", 200}, {"ben", "right", 401},
	} {
		if got := try(h, desk, c.user, c.password); got != c.want {
			t.Errorf("%q %q: %d, want %d", c.user, c.password, got, c.want)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Basic realm=") {
		t.Errorf("the browser is asked by %q", got)
	}
}

// TestRightPasswordIsComparedSlowlyOnce: a page doesn't cost the CPU time of bcrypt.
func TestRightPasswordIsComparedSlowlyOnce(t *testing.T) {
	p, h, _ := locked(t)
	if try(h, desk, "anna", "right") != 200 {
		t.Fatal("not let in")
	}
	p.hash = []byte("bcrypt would fail with this")
	if got := try(h, desk, "anna", "right"); got != 200 {
		t.Errorf("%d: it is compared with the hash again", got)
	}
	if got := try(h, desk, "anna", "wrong"); got != 401 {
		t.Errorf("wrong: %d", got)
	}
}

// TestGuessingIsLimited by address, and doesn't lock out who is known already.
func TestGuessingIsLimited(t *testing.T) {
	_, h, c := locked(t)
	if got := try(h, attacker, "anna", "right"); got != 200 { // someone at the same address
		t.Fatal(got)
	}
	for i := range maxFailures {
		if got := try(h, attacker, "anna", fmt.Sprint("guess", i)); got != 401 {
			t.Fatalf("guess %d: %d", i, got)
		}
	}
	for range 3 {
		if got := try(h, attacker, "anna", "guess"); got != 429 {
			t.Errorf("one guess too many: %d", got)
		}
	}
	if got := try(h, attacker, "anna", "right"); got != 200 {
		t.Errorf("who is known: %d", got)
	}
	if got := try(h, desk, "anna", "wrong"); got != 401 {
		t.Errorf("from elsewhere: %d", got)
	}
	c.Time = c.Add(failurePause)
	for _, want := range []int{401, 429} {
		if got := try(h, attacker, "anna", "guess"); got != want {
			t.Errorf("after a while: %d, want %d", got, want)
		}
	}
	c.Time = c.Add(time.Hour)
	if got := try(h, attacker, "anna", "guess"); got != 401 {
		t.Errorf("after an hour: %d", got)
	}
}

// TestGuessersOfOneNetworkAreOne: addresses of IPv6 cost nothing. And they are bounded.
func TestGuessersOfOneNetworkAreOne(t *testing.T) {
	p, h, c := locked(t)
	last := 0
	for i := range maxFailures + 1 {
		last = try(h, fmt.Sprintf("[2001:db8:0:1::%x]:9", i+1), "anna", "guess")
	}
	if last != 429 {
		t.Errorf("a network's last guess: %d", last)
	}
	for i := range maxGuessers + 100 {
		c.Time = c.Add(time.Millisecond)
		p.attempt(remoteAddress(&http.Request{RemoteAddr: fmt.Sprintf("10.1.%d.%d:9", i/256, i%256)}))
	}
	if n := len(p.guessers); n > maxGuessers {
		t.Errorf("%d addresses are remembered", n)
	}
}

// TestUselessHashesAreRefused before anything is served.
func TestUselessHashesAreRefused(t *testing.T) {
	slow := "$2a$31$" + strings.Repeat("a", 53)
	for _, hash := range []string{"plain", "$apr1$x$y", slow} {
		o, _ := household(t)
		o.Access = Access{User: "anna", PasswordHash: hash}
		if _, err := New(o); err == nil || strings.Contains(err.Error(), hash) {
			t.Errorf("%s: %v", hash, err)
		}
	}
}

// TestPagesBehindPassword: all of them, metrics and style included.
func TestPagesBehindPassword(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	h := newSite(t, func(o *Options, _ *memory) {
		o.Access = Access{User: "anna", PasswordHash: string(hash)}
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "m 1") })
	})
	for _, path := range []string{
		"/", "/devices", "/style.css", "/metrics", "/healthz", "/nowhere", "/download",
	} {
		if w := get(t, h, path); w.Code != http.StatusUnauthorized {
			t.Errorf("%s without a password: %d", path, w.Code)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil).WithContext(context.Background())
	r.Host = "localhost"
	r.SetBasicAuth("anna", "right")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != 200 || w.Body.String() != "m 1" {
		t.Errorf("with one: %d %q", w.Code, w.Body)
	}
}
