package strict

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

type inner struct {
	Deep int `json:"deep"`
}

type embedded struct {
	Size int64 `json:"size"`
}

type outer struct {
	Revision int64 `json:"revision"`
	embedded
	At     time.Time        `json:"at"`
	List   []inner          `json:"list"`
	Named  map[string]inner `json:"named"`
	Config json.RawMessage  `json:"config"`
}

// Each document is refused, in words that name the member; none is what
// encoding/json alone refuses.
func TestWhatEncodingJSONTakesIsRefused(t *testing.T) {
	for text, words := range map[string]string{
		`{"revision": 1, "revision": 2}`:                 "revision: given twice",
		`{"revision": 1, "\u0072evision": 2}`:            "revision: given twice",
		`{"Revision": 1}`:                                "write revision",
		`{"REVISION": 1}`:                                "write revision",
		`{"revi\u017fion": 1}`:                           "write revision",
		`{"SIZE": 1}`:                                    "write size",
		`{"list": [{"deep": 1}, {"Deep": 2}]}`:           "unknown member list.Deep: write deep",
		`{"list": [{"deep": 1, "deep": 2}]}`:             "list.deep: given twice",
		`{"named": {"a": {"DEEP": 2}}}`:                  "unknown member named.a.DEEP",
		`{"named": {"a": {}, "a": {}}}`:                  "named.a: given twice",
		`{"config": {"a": {"b": 1, "b": 2}}}`:            "config.a.b: given twice",
		`{"config": [{"b": 1}, {"b": 1, "b": 2}]}`:       "config.b: given twice",
		"{\"config\": {\"site\": \"a\xff\"}}":            "config.site: is not valid UTF-8",
		"{\"config\": {\"\xed\xa0\x80\": 1}}":            "is not valid UTF-8",
		`{"config": {"a": "\ud800"}}`:                    "config.a: \\ud800 is half",
		`{"config": {"a": "x\ude00"}}`:                   "half a surrogate",
		`{"config": {"a": "\ud83d\u0041"}}`:              "not a surrogate pair",
		`{"config": {"a": "\ud83dude00"}}`:               "half a surrogate",
		`{"config": {"\ud83d": 1}}`:                      "half a surrogate",
		`{"unknown": 1}`:                                 "unknown member unknown",
		`{"revision": 1} {}`:                             "more follows",
		`{"revision": 1`:                                 "not JSON",
		``:                                               "not JSON",
		`null`:                                           "want a JSON object",
		`[1]`:                                            "want a JSON object",
		`{"config": ` + strings.Repeat("9", 100) + `}`:   "a number of 100 digits",
		`{"config": ` + strings.Repeat("[", 70) + `}`:    "nested deeper",
		`{"config": "` + strings.Repeat("x", 990) + `"}`: "the most is 1000",
	} {
		var into outer
		err := Decode([]byte(text), 1000, &into)
		if err == nil || !strings.Contains(err.Error(), words) || len(err.Error()) > maxError+100 {
			t.Errorf("%.60s…: %v, want %q", text, err, words)
		}
	}
}

func TestGoodDocumentsAreTaken(t *testing.T) {
	text := `{"revision": 7, "size": 3, "at": "2026-01-02T03:04:05Z", "list": [{"deep": 1}, {"deep": 2}],
		"named": {"a": {"deep": 3}, "A": {"deep": 4}}, "config": {"Revision": "\ud83d\ude00 \\ud800 ä", "revision": {"x": [1, 2.5e3, null, true]}}}`
	var o outer
	if err := Decode([]byte(text), 1000, &o); err != nil {
		t.Fatal(err)
	}
	if o.Revision != 7 || o.Size != 3 || len(o.List) != 2 || o.Named["A"].Deep != 4 || len(o.Config) == 0 {
		t.Errorf("%+v", o)
	}
	var other outer
	if err := DecodeKnown([]byte(`{"revision": 7, "of_a_later_version": {"a": 1}}`), 1000, &other); err != nil || other.Revision != 7 {
		t.Errorf("%v, %+v", err, other)
	}
	if err := DecodeKnown([]byte(`{"Revision": 7}`), 1000, &other); err == nil {
		t.Error("Read takes another spelling of a known member")
	}
}

// FuzzDecode: no text panics, and what is taken means the same to a reader that
// takes the first of two members and to one that takes the last.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"revision": 1, "list": [{"deep": 2}], "config": {"a": "\ud83d\ude00"}}`))
	f.Add([]byte(`{"config": {"a": "\\", "b": "\"", "c": {}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var o outer
		err := Decode(text, 1<<16, &o)
		if err != nil {
			if !utf8.ValidString(err.Error()) && utf8.Valid(text) {
				t.Errorf("the error is not valid text: %q", err)
			}
			return
		}
		if !utf8.Valid(text) {
			t.Errorf("taken though it is no UTF-8: %q", text)
		}
		again, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := Decode(again, 1<<20, &o); err != nil {
			t.Errorf("what was taken is refused when written again: %v: %s", err, again)
		}
	})
}
