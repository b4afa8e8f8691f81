package monitor

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// response is an http.ResponseWriter that is sent as a whole.
type response struct {
	header http.Header
	status int // 0 = not written yet
	body   *bytes.Buffer
}

func (r *response) Header() http.Header { return r.header }

func (r *response) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *response) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

func (r *response) send(conn net.Conn, headOnly bool) error {
	r.WriteHeader(http.StatusOK)
	r.header.Set("Connection", "close")
	r.header.Set("Content-Length", strconv.Itoa(r.body.Len()))
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", r.status, http.StatusText(r.status))
	_ = r.header.Write(&head) // to memory
	head.WriteString("\r\n")
	parts := net.Buffers{head.Bytes(), r.body.Bytes()}
	if headOnly {
		parts = parts[:1]
	}
	_, err := parts.WriteTo(conn)
	return err
}
