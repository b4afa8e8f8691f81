package web

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestOnlyKnownHostsAreAnswered: a name that leads here by another's DNS is none of ours.
func TestOnlyKnownHostsAreAnswered(t *testing.T) {
	h := newSite(t, func(o *Options, _ *memory) {
		o.Access = Access{Listen: "192.0.2.1:9470", Hosts: []string{"Router.example", "2001:db8::9"}}
	})
	for host, want := range map[string]int{
		"127.0.0.1:9470": 200, "127.0.0.1": 200, "127.9.9.9:80": 200, "localhost": 200,
		"LocalHost:9470": 200, "localhost.": 200, "[::1]:9470": 200, "[::1]": 200,
		"192.0.2.1:9470": 200, "router.example": 200, "ROUTER.example.:443": 200,
		"[2001:db8::9]:9470": 200, "198.51.100.7:9470": 200, // which the request came to
		"": 421, "evil.example": 421, "localhost.evil.example": 421, "evil.example:9470": 421,
		"127.0.0.1.evil.example": 421, "192.0.2.2": 421, "router.example.evil": 421,
		"[2001:db8::8]": 421, "router.example@evil.example": 421, "0.0.0.0": 421,
		"localhost:9470:9470": 421, "127.1": 421, "2130706433": 421, "[::ffff:7f00:1]": 200,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey,
			&net.TCPAddr{IP: net.IPv4(198, 51, 100, 7), Port: 9470}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", host, w.Code, want)
		}
		if host != "" && w.Code != 200 && strings.Contains(w.Body.String(), host) {
			t.Errorf("%q is said back: %q", host, w.Body)
		}
	}
}

// TestOnlyPlainRequestsAreAnswered: other methods, crooked paths and huge addresses aren't.
func TestOnlyPlainRequestsAreAnswered(t *testing.T) {
	do := func(fn func() error) error { return fn() }
	o, _ := household(t)
	address := strings.TrimPrefix(serveSite(t, do, o), "http://")
	for request, want := range map[string]string{
		"GET / HTTP/1.1":                                              "200",
		"HEAD / HTTP/1.1":                                             "200",
		"GET /devices?period=day HTTP/1.1":                            "200",
		"POST / HTTP/1.1":                                             "405",
		"PUT /devices HTTP/1.1":                                       "405",
		"DELETE / HTTP/1.1":                                           "405",
		"OPTIONS * HTTP/1.1":                                          "405",
		"TRACE / HTTP/1.1":                                            "405",
		"CONNECT 127.0.0.1:22 HTTP/1.1":                               "405",
		"GET /nowhere HTTP/1.1":                                       "404",
		"GET /devices/ HTTP/1.1":                                      "400",
		"GET //devices HTTP/1.1":                                      "400",
		"GET /./devices HTTP/1.1":                                     "400",
		"GET /../../etc/passwd HTTP/1.1":                              "400",
		"GET /style.css/../../web.go HTTP/1.1":                        "400",
		"GET /..%2f..%2fetc/passwd HTTP/1.1":                          "400",
		"GET /%2e%2e/etc/passwd HTTP/1.1":                             "400",
		"GET /%64evices HTTP/1.1":                                     "400",
		"GET /\\devices HTTP/1.1":                                     "400",
		"GET /devices%00 HTTP/1.1":                                    "400",
		"GET /devices%25 HTTP/1.1":                                    "400",
		"GET http://evil.example/ HTTP/1.1":                           "421",
		"GET /templates/layout.html HTTP/1.1":                         "404",
		"GET /?x=" + strings.Repeat("x", maxURI) + " HTTP/1.1":        "414",
		"GET /device?id=" + strings.Repeat("x", 300) + " HTTP/1.1":    "404",
		"GET /devices?sort=" + strings.Repeat("x", 300) + " HTTP/1.1": "400",
	} {
		if got := status(t, address, request); got != want {
			t.Errorf("%.60s: %s, want %s", request, got, want)
		}
	}
}

// status sends a request as it is, and returns the status of the response.
func status(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(request + "\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatalf("%.60s: %v", request, err)
	}
	return strings.Fields(line)[1]
}

// TestEachResponseForbidsWhatPagesDoNotNeed: also those of errors and refusals.
func TestEachResponseForbidsWhatPagesDoNotNeed(t *testing.T) {
	h := newSite(t, nil)
	for _, path := range []string{
		"/", "/devices", "/device?id=nobody", "/style.css", "/icon.svg", "/nowhere", "//",
		"/metrics", "/healthz", "/export", "/download?format=csv", "/devices?sort=x",
	} {
		w := get(t, h, path)
		for key, want := range map[string]string{
			"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
			"Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
		} {
			if got := w.Header().Get(key); got != want {
				t.Errorf("%s: %s is %q, want %q", path, key, got, want)
			}
		}
		if !strings.HasPrefix(contentPolicy, "default-src 'none';") ||
			strings.Contains(contentPolicy, "unsafe") {
			t.Errorf("the policy is %q", contentPolicy)
		}
	}
}
