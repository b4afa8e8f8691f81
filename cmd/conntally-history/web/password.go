package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Limits of guessing.
const (
	maxFailures  = 8                // of one address in a row, each forgotten after failurePause
	failurePause = 15 * time.Second // until one more attempt is allowed
	maxGuessers  = 1024             // addresses that are remembered
	// maxCost bounds the time of one comparison: 1 s on a small router, about.
	maxCost = 14
)

// password asks for a name and a password, by basic authentication. Comparing a password with
// its bcrypt hash is slow on purpose, so what was right once is remembered by a fast one.
type password struct {
	user, hash []byte
	now        func() time.Time
	key        [sha256.Size]byte // random: the remembered hash is of no use elsewhere

	mu       sync.Mutex
	known    [sha256.Size]byte // of the right name and password, once it has come
	guessers map[netip.Addr]guesser

	comparing sync.Mutex // one comparison at a time: guessing gets one core at most
}

// Realm is what the password is for, as a browser is told.
const Realm = "conntally-history"

// guesser is an address that sent wrong passwords.
type guesser struct {
	failures int
	since    time.Time // of the oldest of them that isn't forgotten
}

func newPassword(a *Access, now func() time.Time) *password {
	p := &password{
		user: []byte(a.User), hash: []byte(a.PasswordHash), now: now,
		guessers: map[netip.Addr]guesser{},
	}
	_, _ = rand.Read(p.key[:]) // never fails
	return p
}

func (p *password) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, given := r.BasicAuth()
		if given && p.remembers(user, password) {
			next.ServeHTTP(w, r)
			return
		}
		if given {
			if wait := p.attempt(remoteAddress(r)); wait > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
				http.Error(w, "too many wrong passwords; try again later",
					http.StatusTooManyRequests)
				return
			}
			if p.check(user, password) {
				p.succeeded(remoteAddress(r), user, password)
				next.ServeHTTP(w, r)
				return
			}
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="`+Realm+`", charset="UTF-8"`)
		http.Error(w, "a name and a password are needed", http.StatusUnauthorized)
	})
}

// digest returns a fast hash of a name and a password, of fixed length.
func (p *password) digest(user, password string) (d [sha256.Size]byte) {
	h := hmac.New(sha256.New, p.key[:])
	h.Write([]byte(strconv.Itoa(len(user)) + ":" + user + password))
	return [sha256.Size]byte(h.Sum(nil))
}

// remembers reports whether name and password have been right before.
func (p *password) remembers(user, password string) bool {
	d := p.digest(user, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	// No input has the zero digest, which known is until the first success.
	return subtle.ConstantTimeCompare(d[:], p.known[:]) == 1
}

// check compares with the configured hash. It takes as long for a wrong name.
func (p *password) check(user, password string) bool {
	p.comparing.Lock()
	defer p.comparing.Unlock()
	wrong := bcrypt.CompareHashAndPassword(p.hash, []byte(password)) != nil
	given, want := sha256.Sum256([]byte(user)), sha256.Sum256(p.user)
	return subtle.ConstantTimeCompare(given[:], want[:]) == 1 && !wrong
}

// attempt counts an attempt as failed, until it succeeds. It returns how long the address has
// to wait, or 0 if it may try now.
func (p *password) attempt(from netip.Addr) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	g := p.guessers[from].at(now)
	if g.failures >= maxFailures {
		return failurePause - now.Sub(g.since)
	}
	if g.failures == 0 {
		g.since = now
		p.makeRoom(now)
	}
	g.failures++
	p.guessers[from] = g
	return 0
}

// at returns the guesser with what is forgotten by now.
func (g guesser) at(now time.Time) guesser {
	forgotten := max(0, min(g.failures, int(now.Sub(g.since)/failurePause)))
	g.failures -= forgotten
	g.since = g.since.Add(time.Duration(forgotten) * failurePause)
	return g
}

// makeRoom forgets those that have waited long enough and, if that isn't enough, the one that
// has been quiet for longest.
func (p *password) makeRoom(now time.Time) {
	if len(p.guessers) < maxGuessers {
		return
	}
	var oldest netip.Addr
	for address, g := range p.guessers {
		if g.at(now).failures == 0 {
			delete(p.guessers, address)
		} else if o, ok := p.guessers[oldest]; !ok || g.since.Before(o.since) {
			oldest = address
		}
	}
	if len(p.guessers) >= maxGuessers {
		delete(p.guessers, oldest)
	}
}

// succeeded remembers a right password, and forgets what failed before.
func (p *password) succeeded(from netip.Addr, user, password string) {
	d := p.digest(user, password)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = d
	delete(p.guessers, from)
}

// remoteAddress returns who asks: an address, or the network of 64 bits of IPv6, whose
// addresses cost a guesser nothing.
func remoteAddress(r *http.Request) netip.Addr {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := remote.Addr().Unmap().WithZone("")
	if address.Is6() {
		network, _ := address.Prefix(64)
		return network.Addr()
	}
	return address
}
