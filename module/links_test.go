package module

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/conntally/conntally/module/document"
)

// repository is where the source can be read.
const repository = "https://github.com/conntally/conntally/blob/main/"

// link is a link or image of Markdown: its target.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

// TestLinksLead follows each link of each document to a file and its heading, in the source and
// where `module/install` installs the documents: there, a link to what isn't installed is broken.
func TestLinksLead(t *testing.T) {
	for name, dir := range map[string]string{
		"source":    "..",
		"installed": filepath.Join(installed(t, "/usr", "conntally"), "usr/share/doc"),
	} {
		t.Run(name, func(t *testing.T) {
			links := 0
			for _, path := range documents(t, dir) {
				for _, match := range link.FindAllStringSubmatch(withoutCode(read(t, path)), -1) {
					links++
					if wrong := follow(t, path, match[1]); wrong != "" {
						t.Errorf("%s: %s: %s", path, match[1], wrong)
					}
				}
			}
			if links < 80 {
				t.Errorf("only %d links were found", links)
			}
		})
	}
}

// installed returns a directory with what `module/install` installs.
func installed(t *testing.T, prefix, program string) string {
	t.Helper()
	root := t.TempDir()
	install := exec.Command("./install", program)
	install.Env = append(os.Environ(), "BINARY=module/install", "DESTDIR="+root, "PREFIX="+prefix)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return root
}

// documents returns the Markdown files below a directory.
func documents(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := document.Paths(dir)
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// inline is code within a line.
var inline = regexp.MustCompile("`[^`\n]*`")

func withoutCode(text string) string {
	return inline.ReplaceAllString(document.WithoutBlocks(text), "`")
}

// follow returns what is wrong with a link in the document at path, or "".
func follow(t *testing.T, path, target string) string {
	t.Helper()
	file, anchor, _ := strings.Cut(target, "#")
	to := path
	if source, ours := strings.CutPrefix(file, repository); ours {
		to = filepath.Join("..", source)
	} else if strings.Contains(target, "://") {
		return ""
	} else if file != "" {
		to = filepath.Join(filepath.Dir(path), file)
	}
	if _, err := os.Stat(to); err != nil {
		return "there is no such file"
	}
	if anchor != "" && !anchors(read(t, to))[anchor] {
		return "there is no such heading"
	}
	return ""
}

var (
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	// marks are what GitHub leaves out of a heading's anchor.
	marks = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns those of the headings of a document, as GitHub makes them.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		title := marks.ReplaceAllString(strings.ToLower(match[1]), "")
		found[strings.ReplaceAll(title, " ", "-")] = true
	}
	return found
}

// TestEachDocumentIsListed in docs/README.md.
func TestEachDocumentIsListed(t *testing.T) {
	list := read(t, "../docs/README.md")
	for _, path := range documents(t, "../docs") {
		name, err := filepath.Rel("../docs", path)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) != "README.md" && !strings.Contains(list, "]("+name+")") {
			t.Errorf("docs/README.md doesn't list %s", name)
		}
	}
}
