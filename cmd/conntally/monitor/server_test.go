package monitor

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// TestServeUntilContextIsDone: the address is in use until then, and free afterwards.
func TestServeUntilContextIsDone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // an address that is free a moment later
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	address := l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := Serve(ctx, Options{Address: address}, newSources(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		response, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != 200 {
			t.Errorf("%d %v %v", response.StatusCode, response.Header, err)
		}
		if parsed(t, page)["conntally_flows"] == nil {
			t.Errorf("%s", page)
		}
	}
	_, err = Serve(t.Context(), Options{Address: address}, newSources(), zap.NewNop())
	if want := "can't serve metrics at " + address + ": address already in use"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	cancel()
	wait()
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

// TestServeReportsBadAddress: the error names the address.
func TestServeReportsBadAddress(t *testing.T) {
	for address, want := range map[string]string{
		"nohost.invalid:80":  "can't serve metrics at nohost.invalid:80: ",
		"127.0.0.1:nonsense": "can't serve metrics at 127.0.0.1:nonsense: ",
	} {
		_, err := Serve(t.Context(), Options{Address: address}, newSources(), zap.NewNop())
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
