package config

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Key decodes a public key of Trust; false for an invalid or weak one.
func Key(text string) (ed25519.PublicKey, bool) {
	if checkKey(text) != nil {
		return nil, false
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	return raw, err == nil
}

// errWeakKey is a key that release 0.3.0 accepted. It is never trusted: see Key.
var errWeakKey = errors.New("is an invalid key")

func checkKey(text string) error {
	raw, err := base64.StdEncoding.DecodeString(text)
	switch {
	case err != nil || len(raw) != ed25519.PublicKeySize:
		return errors.New("is not an Ed25519 public key in base64")
	case smallOrder(raw):
		return fmt.Errorf("%w: it is a point of small order, for which anyone can sign", errWeakKey)
	case !onCurve(raw):
		return fmt.Errorf("%w: it is not a point of the curve Ed25519, so that no signature could fit", errWeakKey)
	}
	return nil
}

// The curve −x² + y² = 1 + d·x²·y² over the field of 2²⁵⁵ − 19 (RFC 8032, 5.1).
var (
	curveP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveD = fraction(big.NewInt(-121_665), big.NewInt(121_666))
	one    = big.NewInt(1)
	// lowY are the y of the eight points whose order divides 8. Order 1: y = 1;
	// 2: y = −1; 4: y = 0; 8: x² = y², hence d·y⁴ + 1 − … see eighthY.
	lowY = append(eighthY(), big.NewInt(0), one, new(big.Int).Sub(curveP, one))
)

func fraction(over, under *big.Int) *big.Int {
	f := new(big.Int).Mul(over, new(big.Int).ModInverse(under, curveP))
	return f.Mod(f, curveP)
}

// eighthY are the y of the points of order 8. Doubled they give y = 0, so that
// x² = −y², and the curve says 2y² = 1 − d·y⁴.
func eighthY() (roots []*big.Int) {
	// d·t² + 2t − 1 = 0 with t = y²: t = (−1 ± √(1 + d)) / d.
	root := new(big.Int).ModSqrt(new(big.Int).Add(curveD, one), curveP)
	if root == nil {
		return nil
	}
	for _, sign := range []int64{1, -1} {
		t := fraction(new(big.Int).Sub(new(big.Int).Mul(root, big.NewInt(sign)), one), curveD)
		if y := new(big.Int).ModSqrt(t, curveP); y != nil {
			roots = append(roots, y, new(big.Int).Sub(curveP, y))
		}
	}
	return roots
}

// yOf is a key's y, reduced: an encoding may exceed the field.
func yOf(raw []byte) *big.Int {
	big0 := slices.Clone(raw)
	slices.Reverse(big0)
	big0[0] &= 0x7F // the sign of x
	y := new(big.Int).SetBytes(big0)
	return y.Mod(y, curveP)
}

func smallOrder(raw []byte) bool {
	y := yOf(raw)
	return slices.ContainsFunc(lowY, func(low *big.Int) bool { return low.Cmp(y) == 0 })
}

// onCurve reports whether there is an x: x² = (y² − 1) / (d·y² + 1).
func onCurve(raw []byte) bool {
	y := yOf(raw)
	yy := new(big.Int).Mul(y, y)
	under := new(big.Int).Mul(curveD, yy)
	under.Mod(under.Add(under, one), curveP)
	over := new(big.Int).Sub(yy, one)
	square := over.Mul(over, under) // a fraction is a square if and only if the product is
	return big.Jacobi(square.Mod(square, curveP), curveP) >= 0
}
