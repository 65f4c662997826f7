package contactsheet

import (
	"bytes"
	"image/png"
	"strings"
	"testing"

	"meltwatch/simulator/families"
)

func TestEveryTileIsAScenarioWithALegibleLabel(t *testing.T) {
	for _, tile := range tiles {
		if err := tile.Validate(); err != nil {
			t.Errorf("%s: %v", tile.label, err)
		}
		if tile.at > tile.Seconds() {
			t.Errorf("%s: looks at second %v of %v", tile.label, tile.at, tile.Seconds())
		}
		for _, r := range strings.ToUpper(tile.label) {
			if letters[r] == "" && r != ' ' {
				t.Errorf("%s: no letter for %q", tile.label, r)
			}
		}
	}
	for r, dots := range letters {
		if len(dots) != letterWide*letterHigh {
			t.Errorf("letter %q has %d dots, want %d", r, len(dots), letterWide*letterHigh)
		}
	}
}

func TestTheSheetIsASmallPNGThatShowsEveryTile(t *testing.T) {
	if testing.Short() {
		t.Skip("draws every scene: seconds")
	}
	var file bytes.Buffer
	if err := Write(&file); err != nil {
		t.Fatal(err)
	}
	const most = 600_000
	if file.Len() > most {
		t.Errorf("the sheet has %d bytes, at most %d are wanted", file.Len(), most)
	}
	sheet, err := png.Decode(&file)
	if err != nil {
		t.Fatal(err)
	}
	for i, tile := range tiles {
		x, y := gap+i%columns*tileWide, gap+i/columns*tileHigh+labelHigh
		if at := sheet.At(x+pictureWide/2, y+pictureHigh/2); at == sheet.At(0, 0) {
			t.Errorf("%s: nothing is drawn at its place", tile.label)
		}
	}
}

func TestEveryOtherHouseIsShown(t *testing.T) {
	var file bytes.Buffer
	if err := WriteHouses(&file); err != nil {
		t.Fatal(err)
	}
	sheet, err := png.Decode(&file)
	if err != nil {
		t.Fatal(err)
	}
	rows := (sheet.Bounds().Dy() - labelHigh - gap) / houseRowHigh
	if want := meltsShown * (len(families.Pictures()) - 1); rows != want {
		t.Errorf("%d melts are shown, want %d", rows, want)
	}
	for _, view := range views {
		for _, r := range strings.ToUpper(view.label) {
			if letters[r] == "" && r != ' ' {
				t.Errorf("%s: no letter for %q", view.label, r)
			}
		}
	}
}
