package meltwatch

import (
	"net/url"
	"os"
	"path"
	"strings"
	"testing"

	"meltwatch/docs/pagestest"
)

// currentPages are all pages but those that say what was once true.
func currentPages(t *testing.T) (pages []pagestest.Page) {
	t.Helper()
	all, err := pagestest.Read(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range all {
		if !page.Historical() {
			pages = append(pages, page)
		}
	}
	if len(pages) < 30 {
		t.Errorf("only %d pages found", len(pages))
	}
	return pages
}

// Each link leads to a file and a heading of this repository, or is a well-formed https
// address; nothing is fetched.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := pagestest.Read(".")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]map[string]bool{}
	for _, page := range pages {
		anchors[page.Path] = page.Anchors()
	}
	for _, page := range pages {
		for _, link := range page.Links() {
			if fault := brokenLink(page.Path, link, anchors); fault != "" {
				t.Errorf("%s: %s: %s", page.Path, link, fault)
			}
		}
	}
}

// brokenLink returns what is wrong with a page's link, or nothing. Anchors are the
// headings of each page.
func brokenLink(from, link string, anchors map[string]map[string]bool) string {
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return err.Error()
	case u.Scheme == "https" && strings.Contains(u.Host, "."):
		return ""
	case u.Scheme != "" || u.Host != "":
		return "an address outside must begin with https://"
	case strings.HasPrefix(u.Path, "/"):
		return "a path of this repository must be relative"
	}
	to := from
	if u.Path != "" {
		to = path.Join(path.Dir(from), u.Path)
	}
	if _, err := os.Stat(to); err != nil || strings.HasPrefix(to, "..") {
		return "the file is missing"
	}
	if headings, isPage := anchors[to]; u.Fragment != "" && (!isPage || !headings[u.Fragment]) {
		return "the page has no such heading"
	}
	return ""
}

func TestBrokenLinksAreFound(t *testing.T) {
	anchors := map[string]map[string]bool{"docs/mqtt.md": {"alarm": true}}
	for link, broken := range map[string]bool{
		"mqtt.md": false, "mqtt.md#alarm": false, "#alarm": false, "../README.md": false, "adr": false,
		"mqtt.md#alarms": true, "mqt.md": true, "#x": true, "../../x": true, "/docs/mqtt.md": true,
		"https://example.org/x": false, "http://example.org": true, "https://x": true, "ftp://example.org": true,
	} {
		if got := brokenLink("docs/mqtt.md", link, anchors); (got != "") != broken {
			t.Errorf("%s: %q", link, got)
		}
	}
}
