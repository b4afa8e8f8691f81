package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/crypto/bcrypt"

	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/internal/httpserver"
	"github.com/conntally/conntally/cmd/internal/setting"
)

// freeAddress returns an address of loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serveConfig serves a household by a configuration until the end of the test.
func serveConfig(t *testing.T, c config.Web, log *zap.Logger) {
	t.Helper()
	o, _ := household(t)
	s, err := NewServer(&c, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	serve, err := s.Listen(ctx, httpserver.New(log), log)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve() }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// writeCertificate writes a certificate for 127.0.0.1 with a serial number, and its key.
func writeCertificate(t *testing.T, dir string, serial int64) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
	if err := errors.Join(os.WriteFile(key, private, 0o600), os.WriteFile(cert, public, 0o600)); err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(public)
	return cert, key, pool
}

// TestPagesByTLSWithPassword as the configuration asks for; the rest is refused.
func TestPagesByTLSWithPassword(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := writeCertificate(t, dir, 1)
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, append(hash, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	core, logged := observer.New(zap.WarnLevel)
	serveConfig(t, config.Web{
		Listen: setting.Listen(address), Certificate: cert, Key: key, User: "anna", PasswordFile: file,
	}, zap.New(core))

	get := func(scheme, password string, oldest, newest uint16) (int, string, error) {
		transport := &http.Transport{
			TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: oldest, MaxVersion: newest},
			DisableKeepAlives: true,
		}
		r, err := http.NewRequest(http.MethodGet, scheme+"://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			r.SetBasicAuth("anna", password)
		}
		response, err := (&http.Client{Transport: transport}).Do(r)
		if err != nil {
			return 0, "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return response.StatusCode, string(body), err
	}
	if code, body, err := get("https", "right", 0, 0); err != nil || code != 200 ||
		!strings.Contains(body, "living-room-tv") {
		t.Errorf("%d %v %.80q", code, err, body)
	}
	for _, password := range []string{"", "wrong"} {
		if code, body, err := get("https", password, 0, 0); err != nil || code != 401 ||
			strings.Contains(body, "living") {
			t.Errorf("password %q: %d %v", password, code, err)
		}
	}
	if code, body, err := get("http", "right", 0, 0); err == nil && code == 200 ||
		strings.Contains(body, "living") {
		t.Errorf("without TLS: %d %v", code, err)
	}
	if _, _, err := get("https", "right", tls.VersionTLS10, tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	for _, entry := range logged.All() {
		if strings.Contains(entry.Message, "unencrypted") {
			t.Errorf("logged %v", entry)
		}
	}
}

// TestRenewedCertificateIsUsed without a restart; one that is broken isn't.
func TestRenewedCertificateIsUsed(t *testing.T) {
	dir := t.TempDir()
	cert, key, _ := writeCertificate(t, dir, 1)
	c := &clock{noon(t)}
	pair := &certificate{cert: cert, key: key, now: c.now}
	serial := func() int64 {
		t.Helper()
		got, err := pair.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(got.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	age := func(d time.Duration) { // of the file: two may be written within its clock's grain
		if err := os.Chtimes(cert, c.Time, c.Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	age(0)
	steps := []struct {
		name string
		do   func()
		want int64
	}{
		{"the first", func() {}, 1},
		{"a moment later", func() { writeCertificate(t, dir, 2); age(time.Hour) }, 1},
		{"a minute later", func() { c.Time = c.Add(certificateAge) }, 2},
		{"broken", func() {
			if err := os.WriteFile(cert, []byte("no"), 0o600); err != nil {
				t.Fatal(err)
			}
			c.Time = c.Add(certificateAge)
		}, 2},
		{"gone", func() { os.Remove(cert); c.Time = c.Add(certificateAge) }, 2},
		{"renewed", func() { writeCertificate(t, dir, 3); age(2 * time.Hour); c.Time = c.Add(certificateAge) }, 3},
	}
	for _, step := range steps {
		if step.do(); serial() != step.want {
			t.Errorf("%s: certificate %d, want %d", step.name, serial(), step.want)
		}
	}
}

// TestWrongFilesAreToldBeforeServing: nothing is served without the password or certificate
// that the configuration asks for.
func TestWrongFilesAreToldBeforeServing(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const hash = "$2y$05$DGCBVnUqFRNDLp.nLrhgDeoE6PRs2bsxkzXfkJ8eHMyFoYkdqZQ2u"
	for want, c := range map[string]config.Web{
		"password_file: open /nowhere": {User: "anna", PasswordFile: "/nowhere"},
		"is empty":                     {User: "anna", PasswordFile: empty},
		"want a bcrypt hash":           {User: "anna", PasswordHash: "secret"},
		"prints after the colon":       {User: "anna", PasswordHash: "anna:" + hash},
		"certificate: ":                {Certificate: empty, Key: empty},
	} {
		o, _ := household(t)
		if _, err := NewServer(&c, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestUnencryptedPasswordIsToldInTheLog where others could read it.
func TestUnencryptedPasswordIsToldInTheLog(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{"127.0.0.1": 0, "0.0.0.0": 1} {
		t.Run(host, func(t *testing.T) {
			core, logged := observer.New(zap.WarnLevel)
			serveConfig(t, config.Web{
				Listen: setting.Listen(host + ":" + port), User: "anna", PasswordHash: string(hash),
			}, zap.New(core))
			if got := logged.FilterMessageSnippet("unencrypted").Len(); got != want {
				t.Errorf("%d warnings, want %d", got, want)
			}
		})
	}
}
