// Package families lists the furnace houses by name. Every current goes with every
// picture, and with the simulator's own (arcs, scene).
package families

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"meltwatch/simulator/house"
	"meltwatch/simulator/house/analogue"
	"meltwatch/simulator/house/arclength"
	"meltwatch/simulator/house/autoregressive"
	"meltwatch/simulator/house/conductance"
	"meltwatch/simulator/house/emission"
	"meltwatch/simulator/house/feedback"
	"meltwatch/simulator/house/impedance"
	"meltwatch/simulator/house/metal"
	"meltwatch/simulator/house/nightcam"
	"meltwatch/simulator/house/pinhole"
	"meltwatch/simulator/house/plates"
	"meltwatch/simulator/house/regimes"
	"meltwatch/simulator/house/relaxation"
	"meltwatch/simulator/house/relief"
	"meltwatch/simulator/house/selfexciting"
	"meltwatch/simulator/house/spray"
)

// The simulator's own families, in packages furnace and scene.
const (
	Arcs  = "arcs"
	Scene = "scene"
)

func currents() map[string]func(house.Setting) house.Circuit {
	return map[string]func(house.Setting) house.Circuit{
		Arcs: nil, "arclength": arclength.New, "regimes": regimes.New, "autoregressive": autoregressive.New, "impedance": impedance.New, "feedback": feedback.New, "conductance": conductance.New, "selfexciting": selfexciting.New, "relaxation": relaxation.New,
	}
}

func pictures() map[string]func(house.Setting) house.Camera {
	return map[string]func(house.Setting) house.Camera{
		Scene: nil, "metal": metal.New, "plates": plates.New, "emission": emission.New, "pinhole": pinhole.New, "spray": spray.New, "nightcam": nightcam.New, "analogue": analogue.New, "relief": relief.New,
	}
}

// Currents names the families of currents, Pictures those of pictures.
func Currents() []string { return slices.Sorted(maps.Keys(currents())) }

// Pictures names the families of pictures.
func Pictures() []string { return slices.Sorted(maps.Keys(pictures())) }

// Circuit makes the current of a family; nil for Arcs.
func Circuit(name string, s house.Setting) (house.Circuit, error) {
	make, known := currents()[name]
	switch {
	case !known:
		return nil, fmt.Errorf("current: %q is not one of %s", name, strings.Join(Currents(), ", "))
	case make == nil:
		return nil, nil
	}
	return make(s), nil
}

// Camera makes the picture of a family; nil for Scene.
func Camera(name string, s house.Setting) (house.Camera, error) {
	make, known := pictures()[name]
	switch {
	case !known:
		return nil, fmt.Errorf("picture: %q is not one of %s", name, strings.Join(Pictures(), ", "))
	case make == nil:
		return nil, nil
	}
	return make(s), nil
}
