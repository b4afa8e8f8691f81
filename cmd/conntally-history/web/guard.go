package web

import (
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
)

// maxURI is the longest address that is answered, in bytes.
const maxURI = 1024

// contentPolicy lets a page load this site's own style sheet and icon, and nothing else. Nor
// may any site show it in a frame.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard refuses requests that no browser makes for its user: other methods, other hosts and
// crooked paths.
type guard struct{ hosts map[string]bool }

func newGuard(a Access) *guard {
	g := &guard{hosts: map[string]bool{"localhost": true}}
	for _, host := range a.Hosts {
		g.hosts[hostKey(host)] = true
	}
	if host, _, err := net.SplitHostPort(a.Listen); err == nil && host != "" {
		g.hosts[hostKey(host)] = true
	}
	return g
}

// hostKey returns the form of a host by which two are compared.
func hostKey(host string) string {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func (g *guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setHeaders(w.Header())
		if code, why := g.refuse(r); code != 0 {
			if code == http.StatusMethodNotAllowed {
				w.Header().Set("Allow", "GET, HEAD")
			}
			http.Error(w, why, code)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func setHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// refuse returns the status and the reason of a refusal, or 0.
func (g *guard) refuse(r *http.Request) (code int, why string) {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return http.StatusMethodNotAllowed, "only GET and HEAD are answered"
	case len(r.RequestURI) > maxURI:
		return http.StatusRequestURITooLong, "the address is too long"
	case !g.knows(r):
		return http.StatusMisdirectedRequest, "this server isn't known by that name; " +
			"names are allowed by hosts in [web] of the configuration"
	case crooked(r):
		return http.StatusBadRequest, "the path is malformed"
	}
	return 0, ""
}

// knows reports whether the request asks for a host that this is. Otherwise a page elsewhere
// could let its own name lead here, and read what the browser gets (DNS rebinding).
func (g *guard) knows(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	key := hostKey(host)
	if g.hosts[key] {
		return true
	}
	address, err := netip.ParseAddr(key)
	if err != nil {
		return false
	}
	return address.IsLoopback() || address == localAddress(r)
}

// localAddress returns the address of this machine that the request came to.
func localAddress(r *http.Request) netip.Addr {
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return local.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// crooked reports whether a path is written other than the plain one.
func crooked(r *http.Request) bool {
	return r.URL.RawPath != "" || r.URL.Host != "" && r.URL.Host != r.Host ||
		path.Clean(r.URL.Path) != r.URL.Path || strings.ContainsAny(r.URL.Path, "\\\x00%")
}
