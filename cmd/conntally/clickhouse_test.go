package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const clickhouseDirectory = "../../docs/collectors/clickhouse"

// service is one of a compose file, as far as docs/collectors/clickhouse has it.
type service struct {
	Image       string            `yaml:"image"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Ports       []string          `yaml:"ports"`
	Volumes     []string          `yaml:"volumes"`
	DependsOn   []string          `yaml:"depends_on"`
	Restart     string            `yaml:"restart"`
}

// TestComposeFileHolds: what the compose file names is there: services, volumes, files, and the
// flags of goflow2. Its images are not pulled.
func TestComposeFileHolds(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]service  `yaml:"services"`
		Volumes  map[string]struct{} `yaml:"volumes"`
	}
	readYAML(t, filepath.Join(clickhouseDirectory, "compose.yaml"), &compose)
	if len(compose.Services) != 4 {
		t.Errorf("%d services", len(compose.Services))
	}
	for name, s := range compose.Services {
		if !regexp.MustCompile(`^[a-z0-9/-]+:v?[0-9.]+$`).MatchString(s.Image) {
			t.Errorf("%s is of %q", name, s.Image)
		}
		for _, other := range s.DependsOn {
			if _, ok := compose.Services[other]; !ok {
				t.Errorf("%s depends on %s", name, other)
			}
		}
		for _, volume := range s.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if _, named := compose.Volumes[source]; named {
				continue
			}
			if _, err := os.Stat(filepath.Join(clickhouseDirectory, source)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	help, _ := exec.Command(need(t, "goflow2"), "-h").CombinedOutput() // exits 2
	for _, argument := range compose.Services["goflow2"].Command {
		flag, _, _ := strings.Cut(argument, "=")
		if !strings.Contains(string(help), "  "+flag+" ") {
			t.Errorf("goflow2 has no %s:\n%s", flag, help)
		}
	}
}

// TestClickHouseReadsWhatGoflow2Writes: the columns of its queue are fields of the mapping, whose
// names SQLite's test sees in what goflow2 writes.
func TestClickHouseReadsWhatGoflow2Writes(t *testing.T) {
	t.Parallel()
	schema, err := os.ReadFile(filepath.Join(clickhouseDirectory, "schema.sql"))
	if err != nil {
		t.Fatal(err)
	}
	queue := regexp.MustCompile(`(?s)CREATE TABLE queue \((.*?)\n\)`).FindSubmatch(schema)
	if queue == nil {
		t.Fatal("there is no queue")
	}
	var mapping struct {
		Formatter struct {
			Fields []string `yaml:"fields"`
		} `yaml:"formatter"`
	}
	readYAML(t, "../../docs/collectors/sqlite/mapping.yaml", &mapping)
	columns := regexp.MustCompile(`(\w+) (?:UInt|String)`).FindAllSubmatch(queue[1], -1)
	if len(columns) != 17 {
		t.Errorf("%d columns", len(columns))
	}
	for _, column := range columns {
		if !slices.Contains(mapping.Formatter.Fields, string(column[1])) {
			t.Errorf("goflow2 writes no %s", column[1])
		}
	}
}

func readYAML(t *testing.T, path string, to any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := yaml.NewDecoder(f).Decode(to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
