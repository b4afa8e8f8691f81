package regular

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Open and Read return at once, whatever the path is: nobody writes into the FIFO here.
func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	fifo, socket := filepath.Join(dir, "fifo"), filepath.Join(dir, "socket")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo:        fifo + " is a FIFO, not a regular file",
		link:        link + " is a FIFO, not a regular file",
		socket:      socket + " is a socket, not a regular file",
		dir:         "open " + dir + ": is a directory",
		"/dev/zero": "/dev/zero is a device, not a regular file",
		filepath.Join(dir, "none"): "open " + filepath.Join(dir, "none") +
			": no such file or directory",
	} {
		for _, flag := range []int{os.O_RDONLY, os.O_RDWR, os.O_WRONLY} {
			if file, err := Open(path, flag, 0); err == nil || err.Error() != want {
				t.Errorf("flags %d: got %v, %v, want %s", flag, file, err, want)
			}
		}
		if _, err := Read(path, 10); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, c := range []struct{ content, want string }{
		{"", ""},
		{strings.Repeat("a", 1024), ""},
		{strings.Repeat("a", 1025), path + " is larger than 1 KiB"},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path, 1024)
		if c.want == "" && (err != nil || string(got) != c.content) || c.want != "" &&
			(err == nil || err.Error() != c.want) {
			t.Errorf("%d bytes: got %d, %v, want %s", len(c.content), len(got), err, c.want)
		}
	}
}

func TestNoFollow(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	file, err := Open(link, os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	want := link + " is a symbolic link, which is not followed"
	if _, err := Open(link, os.O_RDONLY|unix.O_NOFOLLOW, 0); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
